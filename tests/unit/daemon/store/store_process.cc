// A process with an engine under load, for tests to kill: store-process PATH SYNCHRONOUS [idle]; idle: without load.
// Writes lines to standard error: "ready"; "ack WRITER COUNT" when a write is acknowledged; "refused VERDICT READ" when
// it is not, with a number that was read at that moment; "owner …" for each call to the engine's owner; "event" for
// each revision that a watch delivers.
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <optional>
#include <random>
#include <thread>

#include "daemon/store/local_engine.h"
#include "tests/support/seed.h"
#include "tests/unit/daemon/store/load.h"

namespace hostcall::daemon::store {
namespace {

// Writes the line at once and as a whole: a kill loses whatever is still buffered.
void say(const std::string& line) {
  const auto text = line + "\n";
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) std::abort();
}

struct LoudOwner final : EngineOwner {
  void on_disk_full(const std::string&) override { say("owner full"); }
  void on_no_memory(const std::string&) override { say("owner no memory"); }
  void on_disk_recovered() override { say("owner recovered"); }
  void on_disk_failed(const std::string&) override { say("owner failed"); }
};

const char* name_of(OutcomeCode code) {
  switch (code) {
    case OutcomeCode::kDone: return "done";
    case OutcomeCode::kDiskFull: return "full";
    case OutcomeCode::kDiskFailed: return "failed";
    case OutcomeCode::kReadOnly: return "read-only";
    default: return "other";
  }
}

class LoudWatcher final : public Watcher {
 public:
  bool keep(std::size_t) override { return true; }
  explicit LoudWatcher(Engine& engine) : watch_(engine.watch({.prefix = first_key(0)}, *this)) {}
  void on_ready() override {
    while (watch_->next(1 << 20).kind != Delivery::Kind::kNothing) {
      watch_->taken();
      say("event");
    }
  }

 private:
  std::unique_ptr<Watch> watch_;
};

class Load {
 public:
  explicit Load(Engine& engine) : engine_(engine) {
    for (int i = 0; i < kLoadWriters; ++i) {
      writers_[i].count = number_at(engine, first_key(i));
      submit(i);
    }
  }

 private:
  struct Writer {
    long count = 0;
    std::unique_ptr<Ticket> ticket;
  };

  // Mostly small, now and then of the maximum size of a value.
  std::string value(long count) {
    const std::size_t size = random_() % 50 == 0 ? 65000 : random_() % 2000;
    return std::to_string(count) + " " + std::string(size, 'x');
  }

  void submit(int i) {
    auto& writer = writers_[i];
    const long count = writer.count + 1;
    Transaction transaction;
    for (const auto& key : {first_key(i), second_key(i), slot_key(i, count)})
      transaction.then.push_back({Operation::Kind::kPut, key, value(count), Lifetime::kPersistent});
    writer.ticket = engine_.submit(std::move(transaction), [this, i](const Outcome& outcome) { settled(i, outcome); });
  }

  void settled(int i, const Outcome& outcome) {
    auto& writer = writers_[i];
    if (outcome.code == OutcomeCode::kDone) {
      say("ack " + std::to_string(i) + " " + std::to_string(++writer.count));
    } else {
      say(std::string("refused ") + name_of(outcome.code) + " " + std::to_string(number_at(engine_, first_key(i))));
      std::this_thread::sleep_for(milliseconds(5));
    }
    submit(i);
  }

  Engine& engine_;
  Writer writers_[kLoadWriters];
  std::mt19937 random_{test::fresh_seed()};
};

int run(const std::string& path, const std::string& synchronous, bool idle) {
  LoudOwner owner;
  LocalEngine engine({.path = path, .synchronous = synchronous}, owner);
  LoudWatcher watcher(engine);
  say("ready");
  std::optional<Load> load;
  if (!idle) load.emplace(engine);
  for (;;) {
    pollfd ready{.fd = engine.fd(), .events = POLLIN, .revents = 0};
    ::poll(&ready, 1, -1);
    engine.process();
  }
}

}  // namespace
}  // namespace hostcall::daemon::store

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  try {
    return hostcall::daemon::store::run(argv[1], argv[2], argc > 3);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
