// A program in C++ as a user writes it: asks the host at $HOSTCALL_ADDRESS who it is. Built by install_test.py.
#include <hostcall/client.h>
#include <hostcall/v1/host.hostcall.h>

#include <cstdio>

int main() {
  auto client = hostcall::Client::make();
  if (!client.ok()) return 1;
  const auto info = client->call<hostcall::v1::Host::Info>({}, {.timeout = std::chrono::seconds(5)});
  std::printf("%s: %s\n", hostcall::code_name(info.status().code), info.status().message.c_str());
  return static_cast<int>(info.status().code);
}
