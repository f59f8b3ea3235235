// A scripted host and a client of it in one thread, for calls that carry bytes.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>
#include <string>

#include "client/hostcall/pumped_call.h"
#include "tests/support/patience.h"
#include "tests/unit/client/lib/scripted_host.h"

namespace hostcall::cli::guest {

class CallFixture : public testing::Test {
 protected:
  explicit CallFixture(test::Script script) : host_(std::move(script)) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) std::abort();
    local_ = UniqueFd::adopt(ends[0]);
    peer_ = UniqueFd::adopt(ends[1]);
  }

  // Lets host, client and call work until the condition holds. False: it does not, in time.
  bool run_until(PumpedCall& call, const std::function<bool()>& holds) {
    for (const auto end = Clock::now() + test::kPatience; Clock::now() < end;) {
      step(call);
      if (holds()) return true;
    }
    return false;
  }
  // So often that all has happened that can.
  void settle(PumpedCall& call) {
    for (int i = 0; i < 200; ++i) step(call);
  }
  void step(PumpedCall& call) {
    host_.serve();
    client_.wait(milliseconds(0));
    std::vector<pollfd> events;
    call.add_events(events);
    EXPECT_LE(events.size(), PumpedCall::kMaxEvents);
    ::poll(events.data(), events.size(), 0);
    if (const auto done = call.proceed(events, buffer_); !done.ok()) error_ = done.error();
  }
  void say(std::string_view bytes) {
    ASSERT_EQ(::send(peer_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // What the local peer has got; "END" behind it if that is all.
  std::string heard() {
    char buffer[4096];
    for (ssize_t got = 0; (got = ::recv(peer_.get(), buffer, sizeof buffer, 0)) >= 0;) {
      if (got == 0) return heard_ + "END";
      heard_.append(buffer, static_cast<std::size_t>(got));
    }
    return heard_;
  }
  test::SeenCall& seen() { return host_.connection().calls.back(); }
  bool has_call() { return !host_.connections.empty() && !host_.connection().calls.empty(); }

  test::ScriptedHost host_;
  Client client_ = *Client::make({.address = host_.address().to_string()});
  UniqueFd local_, peer_;
  std::vector<char> buffer_ = std::vector<char>(kPieceBytes);
  std::string heard_;
  std::optional<Error> error_;
};

}  // namespace hostcall::cli::guest
