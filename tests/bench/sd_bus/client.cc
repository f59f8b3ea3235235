// The sd-bus client: blocking calls, and asynchronous ones from sd-event's loop.
#include "tests/bench/harness/client.h"

#include <vector>

#include "tests/bench/sd_bus/names.h"

namespace hostcall::bench {
namespace {

class SdBusClient final : public Client {
 public:
  SdBusClient(const Arguments& arguments, Ends& ends)
      : arguments_(arguments), ends_(ends), payload_(pattern(arguments.payload)), chunk_(pattern(arguments.chunk)) {}

  void call() override { call_on(first()); }
  void connect() override {
    const auto bus = make_bus();
    call_on(bus.get());
  }

  void open(unsigned connections) override {
    sd_event* event = nullptr;
    check_bus(sd_event_new(&event), "event");
    event_.reset(event);
    while (buses_.size() < connections) {
      buses_.push_back(make_bus());
      call_on(buses_.back().get());
      check_bus(sd_bus_attach_event(buses_.back().get(), event, 0), "attach");
    }
    for (unsigned i = 0; i < kMaxSlots; ++i) slots_.push_back({this, i});
  }
  void start(unsigned slot) override {
    auto* bus = buses_[buses_.size() == 1 ? 0 : slot].get();
    const auto message = make_call(bus, "Call", payload_);
    check_bus(sd_bus_call_async(bus, nullptr, message.get(), on_reply, &slots_.at(slot), 0), "call");
  }
  void wait() override { check_bus(sd_event_run(event_.get(), UINT64_MAX), "run"); }

  void download() override {
    auto* bus = first();
    check_bus(sd_bus_match_signal_async(bus, nullptr, nullptr, kPath, kInterface, "Chunk", nullptr, nullptr, nullptr),
              "match");
    bool ended = false;
    check_bus(sd_bus_call_method_async(bus, nullptr, nullptr, kPath, kInterface, "Source", on_end, &ended, "tt",
                                       arguments_.bytes, static_cast<std::uint64_t>(arguments_.chunk)),
              "call");
    std::uint64_t got = 0;
    while (!ended) got += take_chunk(bus);
    check_total(got, arguments_.bytes);
  }
  void upload() override {
    auto* bus = first();
    for (std::uint64_t sent = 0; sent < arguments_.bytes; sent += arguments_.chunk) {
      const auto message = make_call(bus, "Chunk", chunk_);
      check_bus(sd_bus_message_set_expect_reply(message.get(), 0), "call");
      check_bus(sd_bus_send(bus, message.get(), nullptr), "send");
      check_bus(sd_bus_flush(bus), "flush");
    }
    sd_bus_message* reply = nullptr;
    check_bus(sd_bus_call_method(bus, nullptr, kPath, kInterface, "Total", nullptr, &reply, ""), "total");
    const Handle<sd_bus_message> owned(reply);
    std::uint64_t total = 0;
    check_bus(sd_bus_message_read(reply, "t", &total), "total");
    check_total(total, arguments_.bytes);
  }

 private:
  static constexpr unsigned kMaxSlots = 4096;
  struct Slot {
    SdBusClient* client;
    unsigned number;
  };

  Handle<sd_bus> make_bus() const {
    sd_bus* bus = nullptr;
    check_bus(sd_bus_new(&bus), "new");
    Handle<sd_bus> owned(bus);
    check_bus(sd_bus_set_address(bus, ("unix:path=" + arguments_.path_of(0)).c_str()), "address");
    check_bus(sd_bus_set_anonymous(bus, 1), "anonymous");
    check_bus(sd_bus_set_trusted(bus, 1), "trusted");
    check_bus(sd_bus_start(bus), "start");
    return owned;
  }
  sd_bus* first() {
    if (buses_.empty()) buses_.push_back(make_bus());
    return buses_.front().get();
  }
  static Handle<sd_bus_message> make_call(sd_bus* bus, const char* method, const std::string& data) {
    sd_bus_message* message = nullptr;
    check_bus(sd_bus_message_new_method_call(bus, &message, nullptr, kPath, kInterface, method), "message");
    Handle<sd_bus_message> owned(message);
    check_bus(sd_bus_message_append_array(message, 'y', data.data(), data.size()), "message");
    return owned;
  }
  void call_on(sd_bus* bus) {
    const auto message = make_call(bus, "Call", payload_);
    sd_bus_message* reply = nullptr;
    check_bus(sd_bus_call(bus, message.get(), 0, nullptr, &reply), "call");
    const Handle<sd_bus_message> owned(reply);
    check_reply(bytes_of(reply), payload_);
  }
  std::uint64_t take_chunk(sd_bus* bus) {
    sd_bus_message* message = nullptr;
    if (check_bus(sd_bus_process(bus, &message), "process") == 0) {
      check_bus(sd_bus_wait(bus, UINT64_MAX), "wait");
      return 0;
    }
    const Handle<sd_bus_message> owned(message);
    if (message == nullptr || sd_bus_message_is_signal(message, kInterface, "Chunk") <= 0) return 0;
    const auto data = bytes_of(message);
    check_chunk(data, arguments_.chunk);
    return data.size();
  }

  static int on_reply(sd_bus_message* reply, void* user, sd_bus_error*) noexcept {
    const auto& slot = *static_cast<Slot*>(user);
    slot.client->ends_.finished(slot.number, bytes_of(reply));
    return 1;
  }
  static int on_end(sd_bus_message* reply, void* user, sd_bus_error*) noexcept {
    require(sd_bus_message_is_method_error(reply, nullptr) == 0, "the source failed");
    *static_cast<bool*>(user) = true;
    return 1;
  }

  const Arguments& arguments_;
  Ends& ends_;
  const std::string payload_, chunk_;
  Handle<sd_event> event_;
  std::vector<Handle<sd_bus>> buses_;
  std::vector<Slot> slots_;
};

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) {
  using namespace hostcall::bench;
  return run_client(argc, argv, [](const Arguments& arguments, Ends& ends) {
    return std::make_unique<SdBusClient>(arguments, ends);
  });
}
