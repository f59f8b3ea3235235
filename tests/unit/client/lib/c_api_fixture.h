// What tests of hostcall.h share: one of every handle, and a host in a process of its own.
#pragma once

#include <gtest/gtest.h>
#include <hostcall/hostcall.h>

#include <memory>
#include <string>

#include "tests/support/patience.h"
#include "tests/unit/client/lib/server_process.h"

namespace hostcall::test {

inline constexpr auto kPatienceMs = static_cast<std::uint32_t>(kPatience.count());

inline hostcall_payload text(std::string_view bytes) { return hostcall_bytes(bytes.data(), bytes.size()); }

// One of every handle, freed at the end.
class CApi : public testing::Test {
 protected:
  ~CApi() override {
    hostcall_client_free(client_);
    hostcall_result_free(result_);
  }
  void start(Script script = serving_script(), void (*change)(hostcall_options&) = nullptr) {
    server_ = std::make_unique<ServerProcess>(std::move(script));
    make(server_->address(), change);
  }
  void make(const std::string& address, void (*change)(hostcall_options&) = nullptr) {
    hostcall_options options{};
    options.size = sizeof options;
    options.address = address.c_str();
    if (change != nullptr) change(options);
    ASSERT_EQ(hostcall_client_new(&options, &client_, result_), HOSTCALL_OK) << message();
  }
  int call(const char* method, std::string_view payload, std::uint32_t timeout_ms = kPatienceMs) {
    const hostcall_call_options options{sizeof options, timeout_ms, 0};
    return hostcall_call(client_, method, text(payload), &options, result_);
  }
  hostcall_stream* open(const char* method, int shape, std::string_view request = {}) {
    hostcall_stream* stream = nullptr;
    EXPECT_EQ(hostcall_stream_open(client_, method, shape, text(request), nullptr, &stream, result_), HOSTCALL_OK);
    return stream;
  }
  std::string message() const { return hostcall_result_message(result_); }
  std::string payload() const {
    std::size_t size = 0;
    const auto* data = static_cast<const char*>(hostcall_result_payload(result_, &size));
    return {data, size};
  }

  std::unique_ptr<ServerProcess> server_;
  hostcall_client* client_ = nullptr;
  hostcall_result* result_ = hostcall_result_new();
};

inline std::string received(hostcall_stream* stream, int (*receive)(hostcall_stream*, const void**, std::size_t*)) {
  const void* data = nullptr;
  std::size_t size = 0;
  const int code = receive(stream, &data, &size);
  return code == HOSTCALL_OK ? std::string(static_cast<const char*>(data), size) : "code " + std::to_string(code);
}

}  // namespace hostcall::test
