// Watches of an engine, and what they deliver as lines.
#pragma once

#include <string>
#include <vector>

#include "daemon/store/watch_hub.h"
#include "tests/unit/daemon/store/engine_fixture.h"

namespace hostcall::daemon::store {

inline constexpr std::size_t kPlenty = 1 << 20;

struct Counter final : Watcher {
  int ready = 0;
  void on_ready() override { ++ready; }
  bool keep(std::size_t bytes) override {
    if (bytes > may_keep) return false;
    kept = bytes;
    return true;
  }
  std::size_t kept = 0;
  std::size_t may_keep = ~std::size_t{0};
};

// "1:/vm/a/x=v/2:/vm/a/x-" for a put at revision 1 and a deletion at 2.
inline std::string text_of(const Event& event) {
  return std::to_string(event.revision()) + ":" + std::string(event.now->key()) +
         (event.now->deleted() ? "-" : "=" + std::string(event.now->value()));
}

// Takes everything available, as lines.
inline std::vector<std::string> drain(Watch& watch, std::size_t max_bytes = kPlenty) {
  std::vector<std::string> lines;
  for (;;) {
    const auto delivery = watch.next(max_bytes);
    if (delivery.kind == Delivery::Kind::kNothing) return lines;
    if (delivery.kind == Delivery::Kind::kLooking) continue;
    if (delivery.kind == Delivery::Kind::kCompacted) {
      lines.push_back("compacted " + std::to_string(delivery.compact_revision));
      return lines;
    }
    std::string line = delivery.kind == Delivery::Kind::kSnapshot    ? "snapshot"
                       : delivery.kind == Delivery::Kind::kCoalesced ? "coalesced"
                                                                     : "events";
    line += " " + std::to_string(delivery.revision);
    for (const auto& item : delivery.items) line += " " + std::string(item->key());
    for (const auto& event : delivery.events) line += " " + text_of(event);
    lines.push_back(line);
    watch.taken();
  }
}

using Lines = std::vector<std::string>;

class WatchTest : public EngineTest {
 protected:
  std::unique_ptr<Watch> watch(const WatchOptions& options) { return engine->watch(options, counter); }
  void fill(int count, const std::string& key = "/vm/a/x") {
    std::vector<std::unique_ptr<Ticket>> tickets;
    for (int i = 0; i < count; ++i) tickets.push_back(engine->submit(of_vm_a({put_of(key, std::to_string(i))}), {}));
    settle(*engine);
  }
  Counter counter;
};

}  // namespace hostcall::daemon::store
