#include "daemon/services/store_host.h"

#include <stdexcept>
#include <utility>

namespace hostcall::daemon {

namespace {

// After a recovery. A disk that is nearly full refuses some writes and takes others all the time.
constexpr Duration kPause = seconds(60);

}  // namespace

StoreHost::StoreHost(Reactor& reactor, Journal& journal, const std::string& directory)
    : reactor_(reactor),
      journal_(journal),
      pause_(reactor, Callback::to<&StoreHost::tell_rest>(this)),
      engine_({.path = directory + "/store.db", .history = {}, .ends_old_sessions = false}, *this) {
  if (const auto added = reactor.add(engine_.fd(), kReadable, *this); !added.ok())
    throw std::runtime_error(added.error().message());
}

void StoreHost::run(std::function<void()> job, std::function<void()> done) {
  ++jobs_;
  engine_.run_aside(std::move(job), [this, done = std::move(done)] {
    --jobs_;
    done();
  });
}

void StoreHost::on_disk_full(const std::string& what) {
  trouble(Level::kError, MessageId::kStoreDiskFull, v1::StoreCondition::STATE_DISK_FULL,
          "the store refuses writes: " + what);
}

void StoreHost::on_no_memory(const std::string& what) {
  trouble(Level::kError, MessageId::kSystemError, v1::StoreCondition::STATE_NO_MEMORY,
          "the store refuses writes: " + what + "; it tries again with each, so give the host memory");
}

void StoreHost::on_disk_recovered() {
  condition_.Clear();
  tell({Level::kNotice, MessageId::kStoreRecovered, "the store accepts writes again"});
}

void StoreHost::on_disk_failed(const std::string& what) {
  trouble(Level::kAlert, MessageId::kStoreFailed, v1::StoreCondition::STATE_READ_ONLY,
          "the store is read-only until hostcalld is restarted: " + what);
}

void StoreHost::trouble(Level level, MessageId id, v1::StoreCondition::State state, const std::string& text) {
  condition_.set_state(state);
  condition_.set_text(text);
  tell({level, id, text});
}

void StoreHost::tell(Record record) {
  const bool is_paused = pause_.deadline() != kNever;
  if (is_paused && record.level != Level::kAlert) {
    untold_ = std::move(record);
    return;
  }
  journal_.write(record.level, record.id, record.text);
  untold_.reset();
  if (record.id == MessageId::kStoreRecovered) pause_.set(reactor_.now() + kPause);
}

void StoreHost::tell_rest() {
  if (auto record = std::exchange(untold_, std::nullopt)) tell(*std::move(record));
}

}  // namespace hostcall::daemon
