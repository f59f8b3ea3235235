#include "daemon/services/backend.h"

#include <algorithm>
#include <utility>

#include "daemon/services/host_connector.h"

namespace hostcall::daemon {

Backend::Backend(LinkEnvironment& environment, std::shared_ptr<const ServiceRecord> service, pid_t own_pid)
    : environment_(environment),
      reactor_(environment.reactor),
      service_(std::move(service)),
      own_pid_(own_pid),
      free_timer_(reactor_, Callback::to<&Backend::drop_old>(this)) {}

Backend::~Backend() {
  for (auto& free : free_) drop(std::move(free.link));
  for (auto& link : leaving_) drop(std::move(link));
  if (shared_) drop(std::move(shared_));
}

// The link may be in the middle of its work, or have an event in this turn.
void Backend::drop(std::unique_ptr<BackendLink> link) {
  link->close();
  reactor_.retire(std::move(link));
}

Result<std::unique_ptr<BackendLink>> Backend::connect() {
  ++attempts_;
  const auto& routed = *service_->routed();
  auto socket = HOSTCALL_TRY(connect_to_host(routed.unix_path, own_pid_));
  return std::make_unique<BackendLink>(environment_, std::move(socket), routed.protocol,
                                       static_cast<BackendLinkOwner&>(*this));
}

Result<std::unique_ptr<BackendLink>> Backend::take(bool reuse) {
  while (reuse && !free_.empty()) {
    auto link = std::move(free_.back().link);
    // What has come before this turn, the reactor has told the link.
    const bool freed_now = free_.back().since == reactor_.now();
    free_.pop_back();
    if (link->is_ready() && link->is_quiet(freed_now)) return link;
    drop(std::move(link));
  }
  return connect();
}

void Backend::give_back(std::unique_ptr<BackendLink> link, bool clean) {
  link->charge_nobody();
  if (!clean || !link->is_ready() || !link->is_drained() || free_.size() >= kMaxFree) return drop(std::move(link));
  link->pause(false);
  free_.push_back({std::move(link), reactor_.now()});
  look_later();
}

Result<BackendLink*> Backend::share() {
  if (shared_ && !shared_->takes_calls()) leaving_.push_back(std::move(shared_));
  drop_left();
  if (!shared_) shared_ = HOSTCALL_TRY(connect());
  shared_used_ = reactor_.now();
  look_later();
  return shared_.get();
}

// Those whose last call has ended.
void Backend::drop_left() {
  for (auto& link : leaving_)
    if (link->is_idle()) drop(std::move(link));
  std::erase(leaving_, nullptr);
}

// One that a call has for itself is not here: the call gives it back.
void Backend::on_lost(BackendLink& link) {
  if (shared_.get() == &link) return drop(std::move(shared_));
  if (const auto at = std::ranges::find(leaving_, &link, &std::unique_ptr<BackendLink>::get); at != leaving_.end()) {
    drop(std::move(*at));
    leaving_.erase(at);
  }
  const auto at = std::ranges::find_if(free_, [&](const Free& free) { return free.link.get() == &link; });
  if (at == free_.end()) return;
  drop(std::move(at->link));
  free_.erase(at);
}

void Backend::look_later() {
  if (free_timer_.deadline() == kNever) free_timer_.set(reactor_.now() + kFreeLimit);
}

void Backend::drop_old() {
  const auto old = reactor_.now() - kFreeLimit;
  for (auto& free : free_)
    if (free.since <= old) drop(std::move(free.link));
  std::erase_if(free_, [](const Free& free) { return !free.link; });
  if (shared_ && shared_->is_idle() && shared_used_ <= old) drop(std::move(shared_));
  drop_left();
  if (connections() != 0) look_later();
}

std::shared_ptr<Backend> Backends::of(const std::shared_ptr<const ServiceRecord>& service) {
  auto& backend = by_name_[service->name];
  if (backend && backend->service().digest == service->digest) return backend;
  auto made = std::make_shared<Backend>(environment_, service, own_pid_);
  backend = made;
  // Of services that were removed.
  std::erase_if(by_name_,
                [&](const auto& entry) { return entry.second.use_count() == 1 && entry.second->connections() == 0; });
  return made;
}

}  // namespace hostcall::daemon
