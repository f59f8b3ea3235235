// A Channel, a scripted host and a clock that a test turns by hand.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/lib/channel.h"
#include "tests/support/seed.h"
#include "tests/unit/client/lib/scripted_host.h"

namespace hostcall::test {

// A call of a test, with what its observer was told.
class TestCall final : public client::CallObserver {
 public:
  explicit TestCall(std::string name, std::string payload = {}, wire::Shape shape = wire::Shape::kUnary)
      : name_(std::move(name)), payload_(std::move(payload)) {
    const auto slash = name_.rfind('/');
    call.spec.service = std::string_view(name_).substr(0, slash);
    call.spec.method = std::string_view(name_).substr(slash + 1);
    call.spec.payload = std::string_view(payload_);
    call.spec.shape = shape;
  }
  void on_call_events(client::Call&, unsigned what) override { events.push_back(what); }

  bool ended() const { return call.ended(); }
  wire::Code code() const { return result.status.code; }
  const std::string& text() const { return result.status.message; }
  std::string payload() const { return std::string(result.payload.view()); }

  client::CallResult result;
  std::vector<unsigned> events;

 private:
  std::string name_, payload_;

 public:
  client::Call call{result, this};
};

struct Rig {
  static client::ChannelOptions options_for(const ScriptedHost& host) {
    client::ChannelOptions options;
    options.address = host.address();
    options.client_name = "test";
    options.jitter_seed = seed(1);
    return options;
  }

  explicit Rig(Script script = extended_script(), const std::function<void(client::ChannelOptions&)>& change = nullptr)
      : host(std::move(script)) {
    auto options = options_for(host);
    if (change) change(options);
    channel = std::make_unique<client::Channel>(std::move(options));
  }

  void begin(TestCall& test, Duration timeout = seconds(30)) {
    test.call.spec.deadline = now + timeout;
    channel->begin(test.call, now);
  }
  // Lets both sides work until nothing is on its way; local sockets deliver at once.
  void pump() {
    for (int round = 0; round < 12; ++round) {
      channel->process(now);
      host.serve();
    }
    channel->process(now);
  }
  void advance(Duration time) {
    now += time;
    pump();
  }
  // Brings the channel to kReady.
  void connect() {
    TestCall probe("");
    probe.call.spec.service = {};
    begin(probe);
    pump();
  }
  client::Channel::State state() const { return channel->state(); }

  TimePoint now{std::chrono::hours(1)};
  ScriptedHost host;
  std::unique_ptr<client::Channel> channel;
};

}  // namespace hostcall::test
