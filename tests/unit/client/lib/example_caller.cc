// Calls the README's example service at argv[1], as hostcalld would, and then one of its own: client and server library
// in one program. Built by install_test.py.
#include <hostcall/client.h>
#include <hostcall/server.h>

#include <cstdio>
#include <string>
#include <thread>

#include "inventory.hostcall.h"

using namespace acme::v1;

static int fail(const char* what, const hostcall::Status& status) {
  std::printf("%s: %s: %s\n", what, hostcall::code_name(status.code), status.message.c_str());
  return 1;
}

static hostcall::Reply<hostcall::Client> client_of(const std::string& address) {
  hostcall::Options options;
  options.address = address;
  options.wait_for_ready = true;
  return hostcall::Client::make(options);
}

static int call_example(const std::string& address) {
  auto client = client_of(address);
  if (!client.ok()) return fail("make", client.status());
  auto watch = client->open<Inventory::Watch>(ListRequest());
  if (!watch.ok()) return fail("open", watch.status());
  Item item;
  item.set_name("disk");
  if (auto added = client->call<Inventory::Add>(item); !added.ok()) return fail("Add", added.status());
  if (auto all = client->call<Inventory::List>({});
      !all.ok() || all->items_size() != 1 || all->items(0).name() != "disk")
    return fail("List", all.status());
  if (!watch->recv(item) || item.name() != "disk") return fail("Watch", watch->finish());
  return 0;
}

static int serve_and_call(const std::string& address, uid_t own) {
  hostcall::ServerOptions options;
  options.trusted_uids = {own};
  auto server = hostcall::Server::listen(address, options);
  if (!server.ok()) return fail("listen", server.status());
  server->serve<Inventory::Add>([](const hostcall::ServerCall&, const Item&, Added&) { return hostcall::Status{}; });
  std::thread loop([&] { server->run(); });
  auto client = client_of(address);
  const auto added = client->call<Inventory::Add>({});
  server->stop();
  loop.join();
  return added.ok() ? 0 : fail("own Add", added.status());
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const int code = call_example(argv[1]);
  return code != 0 ? code : serve_and_call(argv[2], static_cast<uid_t>(std::stoul(argv[3])));
}
