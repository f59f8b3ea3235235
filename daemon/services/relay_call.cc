#include "daemon/services/relay_call.h"

#include <poll.h>
#include <sys/socket.h>

#include <utility>

#include "daemon/calls/router.h"
#include "daemon/handover/incoming.h"
#include "daemon/handover/outgoing.h"
#include "daemon/services/preface.h"
#include "daemon/services/stream_field.h"
#include "hostcall/v1/relay.hostcall.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

using v1::OpenRequest;
using v1::OpenResponse;

struct Message {
  std::string_view service, data;
  bool eof = false;
};

bool parse(std::string_view bytes, Message& message) {
  return for_each_field(bytes, [&](const MessageField& field) {
    if (field.number == OpenRequest::kServiceFieldNumber) message.service = field.bytes;
    if (field.number == OpenRequest::kDataFieldNumber) message.data = field.bytes;
    if (field.number == OpenRequest::kEofFieldNumber) message.eof = field.integer != 0;
    return true;
  });
}

// For reading and writing.
bool is_hung_up(int fd) {
  pollfd look{.fd = fd, .events = POLLOUT, .revents = 0};
  return ::poll(&look, 1, 0) == 1 && (look.revents & POLLHUP) != 0;
}

}  // namespace

RelayCall::RelayCall(const HostCallEnvironment& environment, const Method& method, const CallContext& context,
                     Charge memory)
    : HostCall(environment, method, context, std::move(memory)),
      reader_(environment.reactor, context.caller),
      fd_(environment.reactor, *this),
      to_host_(fd_, context.caller.charge(Resource::kMemory)) {}

// ---------------------------------------------------------------- the connection begins

Status RelayCall::check_kind(const ServiceRecord& found) const {
  if (found.socket() != nullptr) return {};
  return {Code::kNotFound, "the service " + in_quotes(found.name) + " is no socket but " + found.kind_text() +
                               "; see hostcall " + (found.program() != nullptr ? "run" : "call")};
}

void RelayCall::open(std::string_view name) {
  if (auto status = use_service(name); !status.ok()) return end(status);
  connector_ =
      std::make_unique<HostConnector>(environment(), service(), caller(), static_cast<ConnectObserver&>(*this));
}

void RelayCall::on_connected(UniqueFd socket) {
  if (auto status = check_descriptor(socket.get()); !status.ok()) return end(status);
  fd_.open(std::move(socket), HostFd::Kind::kSocket);
  active_ = environment().reactor.now();
  const auto preface = preface_of(service(), caller());
  if (!preface.empty() && fd_.write(preface) != static_cast<ssize_t>(preface.size()))
    return end({Code::kUnavailable, "the service " + in_quotes(service().name) + " does not take the preface"});
  if (service().socket()->idle_timeout > Duration::zero()) timer().set(active_ + service().socket()->idle_timeout);
  note(flush(to_host_));
  if (is_over()) return;
  wait_for_turn();
  watch();
}

// ---------------------------------------------------------------- bytes to the host

void RelayCall::on_message(std::string_view bytes) {
  if (is_over()) return;
  Message message;
  if (!parse(bytes, message)) return end(unparseable(v1::Relay::Open::kFullName));
  if (!check_order(message.service)) return;
  if (caller_eof_) return end({Code::kInvalidArgument, "bytes came after eof"});
  if (!has_service()) open(message.service);
  if (is_over()) return;
  take(message.data, bytes.size());
  if (message.eof && !is_over()) caller_ended();
}

void RelayCall::take(std::string_view data, std::size_t message_bytes) {
  if (!count(data.size(), from_caller_)) return;
  note(to_host_.take(data, message_bytes, call(), !fd_.is_open()));
  if (!is_over()) watch();
}

void RelayCall::on_remote_closed() {
  if (is_over()) return;
  if (!has_service()) return end({Code::kInvalidArgument, "the call ended before it named a service"});
  caller_ended();
}

void RelayCall::caller_ended() {
  caller_eof_ = true;
  shut_writing_if_done();
  finish_if_done();
}

void RelayCall::shut_writing_if_done() {
  if (!caller_eof_ || shut_ || !fd_.is_open() || !to_host_.is_empty()) return;
  shut_ = true;
  ::shutdown(fd_.get(), SHUT_WR);
}

void RelayCall::note(HostWriter::Outcome outcome) {
  switch (outcome) {
    case HostWriter::Outcome::kTaken: return shut_writing_if_done();
    case HostWriter::Outcome::kNoMemory: return end(no_memory("the service"));
    case HostWriter::Outcome::kBroken: return lose_writing();
  }
}

// The host may still have something to say.
void RelayCall::lose_writing() {
  lost_writing_ = true;
  to_host_.give_up(call());
  if (host_eof_) host_ended();
}

// ---------------------------------------------------------------- bytes from the host

// A hang-up comes without the others.
void RelayCall::on_host_io(HostFd&, std::uint32_t) {
  if (is_over()) return;
  note(flush(to_host_));
  if (is_over()) return;
  if (reads_) read_host();
  if (is_over()) return;
  if (host_eof_) host_ended();
  finish_if_done();
  if (!is_over()) watch();
}

// Not here: the reactor's buffer may hold what the connection has received.
void RelayCall::on_writable() {
  if (!is_over() && fd_.is_open()) wait_for_turn();
}

// Reads while there is something, the caller takes it, and it is the VM's turn.
void RelayCall::read_host() {
  reads_ = false;
  while (!told_eof_ && !is_over()) {
    if (!may_work()) {
      wait_for_turn();
      break;
    }
    if (!call().may_send(reader_.message_bytes())) break;
    if (!greeted_)
      greet();
    else if (host_eof_)
      tell_eof();
    else if (!read_once())
      return wait_for_host();
  }
  if (!is_over()) watch();
}

void RelayCall::wait_for_host() {
  call().pass();
  if (!is_over()) watch();
}

void RelayCall::greet() {
  greeted_ = true;
  send(OpenResponse());
}

void RelayCall::tell_eof() {
  told_eof_ = true;
  OpenResponse response;
  response.set_eof(true);
  send(response);
  finish_if_done();
}

// There is room for it.
template <class Message>
void RelayCall::send(const Message& message) {
  if (call().send(message) != wire::SendOutcome::kSent) end({Code::kInternal, "a message had no room"});
}

// False: there is nothing more now.
bool RelayCall::read_once() {
  const auto found = reader_.read(fd_, OpenResponse::kDataFieldNumber, call());
  if (!found.ok()) {
    end({Code::kUnavailable,
         "the service " + in_quotes(service().name) + " broke the connection: " + found.error().message()});
    return false;
  }
  if (found->end) host_ended();
  if (!count(found->bytes, from_host_)) return false;
  spend(found->bytes);
  reads_ = !found->more;
  return found->more || found->end;
}

void RelayCall::host_ended() {
  host_eof_ = true;
  if (lost_writing_)
    return end({Code::kUnavailable,
                "the service " + in_quotes(service().name) + " closed the connection before it had taken all bytes"});
  // Then there is nobody to send anything to.
  shut_ |= is_hung_up(fd_.get()) && to_host_.is_empty();
}

void RelayCall::finish_if_done() {
  if (told_eof_ && shut_) end({});
}

// ---------------------------------------------------------------- from one daemon to the next

void RelayCall::hand_over(handover::Call& call, Outgoing& parcel) const {
  auto& relay = *call.mutable_relay();
  tell(*relay.mutable_call());
  if (!has_service()) return;
  auto& common = *relay.mutable_call();
  common.set_bytes_in(from_caller_);
  common.set_bytes_out(from_host_);
  to_host_.hand_over(common);
  relay.set_descriptor(parcel.add(fd_.get()));
  relay.set_greeted(greeted_);
  relay.set_caller_eof(caller_eof_);
  relay.set_shut(shut_);
  relay.set_host_eof(host_eof_);
  relay.set_told_eof(told_eof_);
  relay.set_lost_writing(lost_writing_);
  relay.set_idle_ns((environment().reactor.now() - active_).count());
}

Status RelayCall::take_up(const handover::Call& in, Incoming& incoming) {
  const auto& relay = in.relay();
  if (relay.call().service().empty()) return {};
  auto socket = incoming.take(relay.descriptor());
  if (auto status = take_service_again(relay.call()); !status.ok()) return status;
  if (auto status = check_kind(service()); !status.ok()) return status;
  if (!socket) return {Code::kUnavailable, "hostcalld was restarted, and has lost the connection to the service"};
  fd_.open(std::move(socket), HostFd::Kind::kSocket);
  from_caller_ = relay.call().bytes_in();
  from_host_ = relay.call().bytes_out();
  greeted_ = relay.greeted();
  caller_eof_ = relay.caller_eof();
  shut_ = relay.shut();
  host_eof_ = relay.host_eof();
  told_eof_ = relay.told_eof();
  lost_writing_ = relay.lost_writing();
  active_ = environment().reactor.now() - nanoseconds(relay.idle_ns());
  return to_host_.resume(relay.call()) ? Status{} : no_memory("the service");
}

void RelayCall::resumed_service() {
  wait_for_turn();
  watch();
}

// ---------------------------------------------------------------- both

void RelayCall::watch() {
  // After the host's end of bytes, its close is all that can be waited for.
  const auto watched = fd_.want(reads_ && !host_eof_, !to_host_.is_empty(), host_eof_ && !shut_);
  if (!watched.ok()) end({Code::kUnavailable, "hostcalld can't watch the connection: " + watched.error().message()});
}

// False: these bytes are too many.
bool RelayCall::count(std::size_t bytes, std::uint64_t& direction) {
  if (bytes != 0) active_ = environment().reactor.now();
  direction += bytes;
  const auto most = service().socket()->max_bytes;
  if (most == 0 || from_caller_ + from_host_ <= most) return true;
  end({Code::kResourceExhausted, caller().title() + ": the limit max_bytes (" + std::to_string(most) +
                                     ") of the service " + in_quotes(service().name) +
                                     " is reached by this connection"});
  return false;
}

void RelayCall::describe_use(CallRecord& record) const {
  record.unit = service().socket()->address();
  record.bytes_in = from_caller_;
  record.bytes_out = from_host_;
}

// Idle for long, perhaps.
void RelayCall::on_time() {
  const auto until = active_ + service().socket()->idle_timeout;
  if (environment().reactor.now() < until) return timer().set(until);
  end({Code::kDeadlineExceeded,
       "the connection to the service " + in_quotes(service().name) + " was idle for longer than its idle_timeout"});
}

}  // namespace hostcall::daemon
