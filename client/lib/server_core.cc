#include "client/lib/server_core.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace hostcall::server {
namespace {

// Connections that only hear why they are refused.
constexpr std::size_t kMaxRefused = 16;
constexpr char kStopping[] = "the service is stopping; repeat the call when it runs again";

}  // namespace

Core::Core(ServerOptions options, Poll poll, UniqueFd nudge)
    : poll_(std::move(poll)), nudge_(std::move(nudge)), environment_(std::move(options), *this) {}

// What the program's callbacks do meanwhile finds a server without connections.
Core::~Core() {
  in_turn_ = true;
  acceptors_.clear();
  const wire::Status status{wire::Code::kUnavailable, kStopping};
  for (const auto& connection : std::exchange(connections_, {})) {
    connection->drain(status);
    connection->end(status);
    connection->turn_end();
    connection->close();
  }
}

Done Core::start(std::vector<ListeningSocket> sockets) {
  HOSTCALL_TRY(poll_.add(nudge_.get(), kReadable, *this));
  for (auto& socket : sockets) {
    acceptors_.push_back(
        std::make_unique<Acceptor>(environment_, poll_, std::move(socket),
                                   [this](UniqueFd fd, const net::Peer& peer) { accept(std::move(fd), peer); }));
    HOSTCALL_TRY(acceptors_.back()->start());
  }
  return done();
}

// ---------------------------------------------------------------- turns

TimePoint Core::due() const {
  if (has_work()) return TimePoint();
  return std::min(environment_.timers.due(), stop_at_);
}

milliseconds Core::time_left() const {
  const auto at = due();
  if (at == kNever) return milliseconds(-1);
  const auto now = environment_.now();
  return at <= now ? milliseconds(0) : std::chrono::ceil<milliseconds>(at - now);
}

void Core::turn(milliseconds time) {
  in_turn_ = true;
  poll_.wait(time);
  run_posted();
  environment_.timers.run(environment_.now());
  deliver_messages();
  if (stop_asked_ && !stopping_) begin_stop();
  end_turn();
  if (stopping_) go_on_stopping();
  in_turn_ = false;
}

void Core::end_turn() {
  ending_.swap(at_end_);
  for (auto* connection : ending_) {
    connection->is_listed = false;
    connection->turn_end();
  }
  ending_.clear();
  std::erase_if(at_end_, [](const Connection* connection) { return connection->is_closed(); });
  const auto dead = std::exchange(dead_, {});
}

void Core::deliver_messages() {
  for (const auto& waiting : std::exchange(delivering_, {}))
    if (const auto call = waiting.lock()) call->deliver_kept();
}

void Core::deliver_later(const std::shared_ptr<OpenCall>& call) {
  delivering_.push_back(call);
  if (!in_turn_) nudge();
}

void Core::at_turn_end(Connection& connection) {
  if (std::exchange(connection.is_listed, true)) return;
  at_end_.push_back(&connection);
  if (!in_turn_) nudge();
}

// ---------------------------------------------------------------- other threads

// Makes fd() readable.
void Core::nudge() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(nudge_.get(), &one, sizeof one);  // fails if it is readable already
}

void Core::on_ready(std::uint32_t) {
  std::uint64_t count;
  [[maybe_unused]] const auto got = ::read(nudge_.get(), &count, sizeof count);
}

void Core::post(std::function<void()> function) {
  {
    const std::lock_guard lock(posting_);
    posted_.push_back(std::move(function));
  }
  nudge();
}

void Core::run_posted() {
  std::vector<std::function<void()>> functions;
  {
    const std::lock_guard lock(posting_);
    functions.swap(posted_);
  }
  for (const auto& function : functions) environment_.run({}, function);
}

// ---------------------------------------------------------------- connections

void Core::accept(UniqueFd fd, const net::Peer& peer) {
  auto refusal = refusal_of(peer);
  if (!refusal.ok() && refused_ == kMaxRefused) return;
  auto connection = std::make_unique<Connection>(environment_, static_cast<ConnectionOwner&>(*this), poll_,
                                                 std::move(fd), peer.uid, ++last_connection_, std::move(refusal));
  connection->position = connections_.size();
  refused_ += connection->refused();
  connections_.push_back(std::move(connection));
  auto& added = *connections_.back();
  if (const auto started = added.start(); !started.ok()) {
    environment_.report({}, started.error().message());
    added.close();
  }
}

wire::Status Core::refusal_of(const net::Peer& peer) const {
  const auto& options = environment_.options;
  if (options.require_hostcall && !environment_.trust.trusts(peer.uid)) return environment_.trust.refusal(peer.uid);
  if (connections_.size() - refused_ < options.max_connections) return {};
  return {wire::Code::kResourceExhausted, "the limit max_connections of the service is reached (" +
                                              std::to_string(options.max_connections) + "): close another connection"};
}

// The last connection takes the place of the closed one.
void Core::closed(Connection& connection) {
  if (connections_.empty()) return;  // the destructor has taken them all
  refused_ -= connection.refused();
  const auto position = connection.position;
  dead_.push_back(std::exchange(connections_[position], std::move(connections_.back())));
  connections_.pop_back();
  if (position < connections_.size()) connections_[position]->position = position;
}

// ---------------------------------------------------------------- the end

void Core::stop() {
  stop_asked_ = true;
  nudge();
}

void Core::begin_stop() {
  stopping_ = true;
  acceptors_.clear();
  stop_at_ = deadline_after(environment_.now(), environment_.options.drain_time);
  std::vector<Connection*> all;
  for (const auto& connection : connections_) all.push_back(connection.get());
  for (auto* connection : all) connection->drain({wire::Code::kUnavailable, kStopping});
}

// Stopped at the latest a second after the drain time: by then every connection has closed itself.
void Core::go_on_stopping() {
  if (stop_at_ <= environment_.now()) {
    stop_at_ = kNever;
    std::vector<Connection*> all;
    for (const auto& connection : connections_) all.push_back(connection.get());
    for (auto* connection : all) connection->end({wire::Code::kUnavailable, kStopping});
  }
  stopped_ = connections_.empty();
}

}  // namespace hostcall::server
