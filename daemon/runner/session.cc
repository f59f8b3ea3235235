#include "daemon/runner/session.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <stdexcept>
#include <utility>

#include "proto/base/bounded_text.h"

namespace hostcall::daemon {
namespace {

using wire::Code;
using wire::Status;

// A hostcalld that asks and does not read is not ours.
constexpr std::size_t kMaxUnsent = 4 * kMaxRunning;
// Those count whose process still ends. hostcalld has a rate for each VM.
constexpr std::size_t kMaxAttempts = 128;
constexpr std::size_t kDescriptors = 3;
// How long the programs of a closed connection may take to end.
constexpr Duration kGiveUpTime = kTermTime + seconds(5);

}  // namespace

// A program, as its session sees it.
class RunnerSession::Program final : public HostObserver {
 public:
  Program(RunnerSession& session, std::uint64_t id, Running::Place place)
      : session_(session), id_(id), place_(std::move(place)) {}
  std::uint64_t id() const { return id_; }
  void start(ProgramOrder order, std::array<UniqueFd, kDescriptors> descriptors) {
    hosted_ = session_.host_.start(std::move(order), std::move(descriptors), *this);
  }
  void signal(int number) { hosted_->send_signal(number); }
  // Nothing is told any more.
  void cancel() {
    is_cancelled_ = true;
    hosted_->kill();
  }

  void on_running(const std::string& unit) override {
    runner::Reply reply;
    reply.mutable_started()->set_unit(unit);
    tell(std::move(reply));
  }
  void on_gone(const runner::Ended& end) override {
    runner::Reply reply;
    *reply.mutable_ended() = end;
    tell(std::move(reply));
    session_.remove(*this);
  }
  void on_lost(const Status& status) override {
    if (!is_cancelled_) session_.fail(id_, status);
    session_.remove(*this);
  }

 private:
  void tell(runner::Reply reply) {
    if (!is_cancelled_) session_.reply(std::move(reply), id_);
  }
  RunnerSession& session_;
  std::uint64_t id_;
  Running::Place place_;
  bool is_cancelled_ = false;
  std::unique_ptr<HostedProgram> hosted_;
};

// A connection attempt.
class RunnerSession::Attempt final : public AttemptObserver {
 public:
  Attempt(RunnerSession& session, std::uint64_t id, const ConnectOrder& order)
      : session_(session), id_(id), attempt_(session.host_.connect(order, *this)) {}
  std::uint64_t id() const { return id_; }
  // False: its process still ends.
  bool stop() { return attempt_->stop(); }

  void on_socket(UniqueFd socket) override {
    runner::Reply reply;
    reply.mutable_connected();
    session_.reply(std::move(reply), id_, std::move(socket));
    session_.remove(*this);
  }
  void on_no_socket(const Status& status) override {
    session_.fail(id_, status);
    session_.remove(*this);
  }
  void on_stopped() override { session_.forget(*this); }

 private:
  RunnerSession& session_;
  std::uint64_t id_;
  std::unique_ptr<ConnectionAttempt> attempt_;
};

RunnerSession::RunnerSession(Reactor& reactor, UniqueFd socket, ServiceCache& services, ProgramHost& host,
                             Running& running, OnEnd on_end)
    : reactor_(reactor),
      channel_(reactor, std::move(socket), *this),
      services_(services),
      host_(host),
      running_(running),
      on_end_(std::move(on_end)) {
  if (!channel_.is_open()) throw std::runtime_error("a connection can't be watched");
}

RunnerSession::~RunnerSession() { reactor_.forget(*this); }

void RunnerSession::on_packet(ReceivedPacket packet) {
  runner::Request request;
  if (!request.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size())))
    return on_channel_closed("a packet is not a request");
  obey(request, std::move(packet.descriptors));
}

void RunnerSession::obey(const runner::Request& request, std::vector<UniqueFd> descriptors) {
  const auto id = request.id();
  const bool opens = request.has_start() || request.has_connect();
  if (opens && id <= last_id_) return on_channel_closed("a request has an id that is not new");
  if (opens) last_id_ = id;
  if (descriptors.size() != (request.has_start() ? kDescriptors : 0))
    return on_channel_closed("a request has a wrong number of descriptors");
  switch (request.what_case()) {
    case runner::Request::kStart: return start(id, request.start(), std::move(descriptors));
    case runner::Request::kConnect: return connect(id, request.connect());
    case runner::Request::kSignal: return signal(id, request.signal().number());
    case runner::Request::kCancel: return cancel(id);
    case runner::Request::WHAT_NOT_SET: return on_channel_closed("a request asks for nothing");
  }
}

void RunnerSession::start(std::uint64_t id, const runner::Start& start, std::vector<UniqueFd> descriptors) {
  ProgramOrder order;
  if (const auto checked = check_start(services_.current(), start, order); !checked.ok()) return fail(id, checked);
  if (const auto checked = host_.check(order); !checked.ok()) return fail(id, checked);
  Running::Place place;
  if (const auto taken = running_.take(*order.service, order.vm, place); !taken.ok()) return fail(id, taken);
  std::array<UniqueFd, kDescriptors> standard;
  std::ranges::move(descriptors, standard.begin());
  auto& program = *(programs_[id] = std::make_unique<Program>(*this, id, std::move(place)));
  program.start(std::move(order), std::move(standard));
}

void RunnerSession::connect(std::uint64_t id, const runner::Connect& connect) {
  ConnectOrder order;
  if (const auto checked = check_connect(services_.current(), connect, order); !checked.ok()) return fail(id, checked);
  if (const auto checked = host_.check(order); !checked.ok()) return fail(id, checked);
  if (attempts_.size() >= kMaxAttempts)
    return fail(id, {Code::kResourceExhausted, "the host connects to too many sockets", seconds(1)});
  attempts_[id] = std::make_unique<Attempt>(*this, id, order);
}

// To one that has just ended, it is late, not wrong.
void RunnerSession::signal(std::uint64_t id, int number) {
  const auto at = programs_.find(id);
  if (at != programs_.end() && number > 0 && number < SIGRTMIN) at->second->signal(number);
}

void RunnerSession::cancel(std::uint64_t id) {
  if (const auto at = programs_.find(id); at != programs_.end()) return at->second->cancel();
  if (const auto at = attempts_.find(id); at != attempts_.end()) remove(*at->second);
}

void RunnerSession::fail(std::uint64_t id, const Status& status) {
  runner::Reply reply;
  auto& failed = *reply.mutable_failed();
  failed.set_code(static_cast<std::int32_t>(status.code));
  failed.set_text(bounded_text(status.message));
  const auto retry = std::chrono::ceil<milliseconds>(status.retry_after).count();
  failed.set_retry_after_ms(static_cast<std::uint32_t>(retry));
  this->reply(std::move(reply), id);
}

void RunnerSession::reply(runner::Reply reply, std::uint64_t id, UniqueFd descriptor) {
  reply.set_id(id);
  Packet packet{reply.SerializeAsString(), {}};
  if (descriptor) packet.descriptors.push_back(std::move(descriptor));
  channel_.send(std::move(packet));
  // Not at once: whoever replies is not done with what the end of the connection removes.
  if (channel_.unsent() > kMaxUnsent) reactor_.at_turn_end(*this);
}

void RunnerSession::on_turn_end() {
  if (channel_.is_open()) on_channel_closed("hostcalld does not read");
}

void RunnerSession::remove(Program& program) {
  const auto at = programs_.find(program.id());
  if (at == programs_.end()) return;  // given up in the same turn
  reactor_.retire(std::move(at->second));
  programs_.erase(at);
  end_if_empty();
}

void RunnerSession::remove(Attempt& attempt) {
  if (attempt.stop()) forget(attempt);
}

void RunnerSession::forget(Attempt& attempt) {
  const auto at = attempts_.find(attempt.id());
  if (at == attempts_.end()) return;
  reactor_.retire(std::move(at->second));
  attempts_.erase(at);
  end_if_empty();
}

void RunnerSession::on_channel_closed(const std::string& why) {
  if (why_.empty()) why_ = why;
  channel_.close();
  std::vector<Attempt*> attempts;
  for (const auto& [id, attempt] : attempts_) attempts.push_back(attempt.get());
  for (auto* attempt : attempts) remove(*attempt);
  for (const auto& [id, program] : programs_) program->cancel();
  give_up_.set(reactor_.now() + kGiveUpTime);
  end_if_empty();
}

// A process in the kernel that not even SIGKILL ends. What watches it goes on.
void RunnerSession::on_give_up() {
  while (!attempts_.empty()) forget(*attempts_.begin()->second);
  while (!programs_.empty()) remove(*programs_.begin()->second);
}

void RunnerSession::end_if_empty() {
  if (channel_.is_open() || !programs_.empty() || !attempts_.empty()) return;
  if (const auto on_end = std::exchange(on_end_, nullptr)) on_end(why_);
}

}  // namespace hostcall::daemon
