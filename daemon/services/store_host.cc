#include "daemon/services/store_host.h"

#include <stdexcept>

namespace hostcall::daemon {

StoreHost::StoreHost(Reactor& reactor, Journal& journal, const std::string& directory)
    : reactor_(reactor), journal_(journal), engine_({.path = directory + "/store.db"}, *this) {
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
  journal_.write(Level::kError, MessageId::kStoreDiskFull, "the store refuses writes: " + what);
}

void StoreHost::on_no_memory(const std::string& what) {
  journal_.write(Level::kError, MessageId::kSystemError,
                 "the store refuses writes: " + what + "; it tries again with each, so give the host memory");
}

void StoreHost::on_disk_recovered() {
  journal_.write(Level::kNotice, MessageId::kStoreRecovered, "the store accepts writes again");
}

void StoreHost::on_disk_failed(const std::string& what) {
  journal_.write(Level::kAlert, MessageId::kStoreFailed,
                 "the store is read-only until hostcalld is restarted: " + what);
}

}  // namespace hostcall::daemon
