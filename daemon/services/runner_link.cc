#include "daemon/services/runner_link.h"

#include <cassert>
#include <utility>

#include "daemon/handover/outgoing.h"
#include "daemon/services/runner_asked.h"
#include "proto/net/socket.h"

namespace hostcall::daemon {
namespace {

using wire::Code;
using wire::Status;

// A busy systemd takes its time; a connection attempt has 5 s of its own.
constexpr seconds kStartTime{30};
constexpr seconds kConnectTime{15};
// How long the connection outlasts what was asked for.
constexpr seconds kIdleTime{60};
// Requests that wait for the runner to read.
constexpr std::size_t kMaxUnsent = 1024;

void fill(runner::Target& target, const ServiceRecord& service, const RunnerCaller& caller) {
  target.set_service(service.name);
  target.set_digest(service.digest);
  target.set_vm(caller.vm);
  target.set_uuid(caller.uuid);
}

}  // namespace

RunnerLink::RunnerLink(Reactor& reactor, RunnerLinkOptions options) : reactor_(reactor), options_(std::move(options)) {}

RunnerLink::~RunnerLink() {
  assert(asked_.empty());
  reactor_.forget(*this);
}

std::optional<pid_t> RunnerLink::child() const {
  if (children_.empty() || children_.back()->has_ended()) return std::nullopt;
  return children_.back()->pid();
}

// ---------------------------------------------------------------- requests

std::unique_ptr<RunningProgram> RunnerLink::start(const ServiceRecord& service, const RunnerCaller& caller,
                                                  const std::vector<std::string>& arguments,
                                                  std::array<UniqueFd, 3> descriptors, ProgramObserver& observer) {
  auto program = std::make_unique<Program>(*this, kStartTime, observer);
  runner::Request request;
  fill(*request.mutable_start()->mutable_target(), service, caller);
  for (const auto& argument : arguments) request.mutable_start()->add_arguments(argument);
  std::vector<UniqueFd> standard;
  for (auto& descriptor : descriptors) standard.push_back(std::move(descriptor));
  ask(*program, std::move(request), std::move(standard));
  return program;
}

std::unique_ptr<Connecting> RunnerLink::connect(const ServiceRecord& service, const RunnerCaller& caller,
                                                ConnectObserver& observer) {
  auto attempt = std::make_unique<Attempt>(*this, kConnectTime, observer);
  runner::Request request;
  fill(*request.mutable_connect()->mutable_target(), service, caller);
  ask(*attempt, std::move(request), {});
  return attempt;
}

void RunnerLink::ask(Asked& asked, runner::Request request, std::vector<UniqueFd> descriptors) {
  idle_timer_.cancel();
  request.set_id(asked.id());
  auto sent = send(std::move(request), std::move(descriptors));
  if (sent.ok()) return;
  not_asked_.emplace(asked.id(), std::move(sent));
  reactor_.at_turn_end(*this);
}

wire::Status RunnerLink::send(runner::Request request, std::vector<UniqueFd> descriptors) {
  Packet packet{request.SerializeAsString(), std::move(descriptors)};
  if (packet.bytes.size() > kMaxPacketBytes)
    return {Code::kInvalidArgument, "the arguments have more bytes together than hostcall-runner takes"};
  if (const auto opened = open(); !opened.ok())
    return {Code::kUnavailable, "hostcall-runner can't be reached: " + opened.error().message()};
  if (channel_->unsent() >= kMaxUnsent)
    return {Code::kResourceExhausted, "hostcall-runner has too much to do", seconds(1)};
  channel_->send(std::move(packet), {.request = request.id()});
  return {};
}

// What a caller sends faster than it is taken is lost, as with signals that are pending.
void RunnerLink::tell_signal(std::uint64_t id, int number) {
  const PacketTag tag{.request = id, .signal = number};
  if (channel_ == nullptr || channel_->unsent() >= kMaxUnsent || channel_->has_unsent(tag)) return;
  runner::Request request;
  request.set_id(id);
  request.mutable_signal()->set_number(number);
  channel_->send({request.SerializeAsString(), {}}, tag);
}

// A cancel has a place in the queue whatever else waits: there is at most one for each request that was sent.
void RunnerLink::cancel(std::uint64_t id) {
  forget(id);
  if (channel_ == nullptr || channel_->drop_unsent(id)) return;
  runner::Request request;
  request.set_id(id);
  request.mutable_cancel();
  channel_->send({request.SerializeAsString(), {}});
}

void RunnerLink::forget(std::uint64_t id) {
  asked_.erase(id);
  not_asked_.erase(id);
  if (asked_.empty()) idle_timer_.set(reactor_.now() + kIdleTime);
}

void RunnerLink::on_turn_end() {
  for (const auto& [id, status] : std::exchange(not_asked_, {}))
    if (const auto at = asked_.find(id); at != asked_.end()) at->second->fail(status);
}

// ---------------------------------------------------------------- the connection

Done RunnerLink::open() {
  if (channel_ != nullptr) return done();
  auto socket = HOSTCALL_TRY(
      options_.socket_path.empty() ? spawn() : net::connect_packets(net::unix_address(options_.socket_path)));
  auto channel = std::make_unique<PacketChannel>(reactor_, std::move(socket), *this);
  if (!channel->is_open()) return Error{ENOMEM, "watch its socket"};
  channel_ = std::move(channel);
  return done();
}

Result<UniqueFd> RunnerLink::spawn() {
  std::erase_if(children_, [](const auto& child) { return child->has_ended(); });
  auto sockets = HOSTCALL_TRY(packet_socket_pair());
  children_.push_back(
      HOSTCALL_TRY(RunnerChild::spawn(reactor_, options_.program, options_.services, std::move(sockets.second))));
  return std::move(sockets.first);
}

// ---------------------------------------------------------------- from one daemon to the next

void RunnerLink::hand_over(handover::Runner& out, Outgoing& parcel) const {
  out.set_descriptor(parcel.add(channel_->descriptor()));
  out.set_last_request(last_id_);
}

void RunnerLink::take_up(const handover::Runner& in, UniqueFd socket) {
  last_id_ = in.last_request();
  auto channel = std::make_unique<PacketChannel>(reactor_, std::move(socket), *this);
  if (!channel->is_open()) return;
  channel_ = std::move(channel);
  idle_timer_.set(reactor_.now() + kIdleTime);
}

std::unique_ptr<RunningProgram> RunnerLink::resume(const handover::Program& place, ProgramObserver& observer) {
  if (channel_ == nullptr || place.request() == 0 || place.request() > last_id_ || asked_.contains(place.request()))
    return nullptr;
  idle_timer_.cancel();
  return std::make_unique<Program>(*this, kStartTime, observer, place);
}

// ---------------------------------------------------------------- its end

void RunnerLink::close_if_idle() {
  if (channel_ == nullptr || !asked_.empty()) return;
  channel_->close();
  reactor_.retire(std::move(channel_));
}

void RunnerLink::on_packet(ReceivedPacket packet) {
  runner::Reply reply;
  if (!reply.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()))) {
    channel_->close();
    return on_channel_closed("it has sent what is no reply");
  }
  on_reply(reply, std::move(packet.descriptors));
}

void RunnerLink::on_reply(const runner::Reply& reply, std::vector<UniqueFd> descriptors) {
  const auto at = asked_.find(reply.id());
  if (at == asked_.end()) return;  // given up meanwhile
  if (at->second->on_reply(reply, std::move(descriptors))) return;
  channel_->close();
  on_channel_closed("it has sent a reply to something else");
}

void RunnerLink::on_channel_closed(const std::string& why) {
  reactor_.retire(std::move(channel_));
  const Status lost{Code::kUnavailable, "the connection to hostcall-runner was lost, and with it the outcome" +
                                            (why.empty() ? "" : ": " + why)};
  // Observers may ask for something new, which is no loss.
  for (const auto last = last_id_; !asked_.empty() && asked_.begin()->first <= last;)
    asked_.begin()->second->fail(lost);
}

}  // namespace hostcall::daemon
