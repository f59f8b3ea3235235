#include "client/lib/server_open_call.h"

#include <utility>

namespace hostcall::server {
namespace {

// What is delivered of one call in one turn.
constexpr int kMessagesPerTurn = 64;

TimePoint deadline_of(const Environment& environment, const wire::RequestView& request) {
  return request.timeout_nano == 0 ? kNever : deadline_after(environment.now(), nanoseconds(request.timeout_nano));
}

wire::Status to_wire(const Status& status) {
  return {static_cast<wire::Code>(status.code), status.message, status.retry_after};
}

wire::Payload to_wire(hostcall_payload payload) {
  if (payload.write != nullptr) return {payload.source, payload.size, payload.write};
  return std::string_view(static_cast<const char*>(payload.source), payload.size);
}

}  // namespace

OpenCall::OpenCall(Environment& environment, CallOwner& owner, wire::Stream& stream,
                   std::shared_ptr<ServedMethod> method, const wire::RequestView& request, std::string metadata,
                   CountedIn places)
    : environment_(&environment),
      owner_(&owner),
      stream_(&stream),
      method_(std::move(method)),
      metadata_(std::move(metadata)),
      places_(std::move(places)),
      deadline_(deadline_of(environment, request)),
      peer_uid_(owner.peer_uid()),
      trusted_(owner.trusted()),
      timer_(environment.timers, [this] {
        const wire::Status late{wire::Code::kDeadlineExceeded,
                                method_->full_name + " did not finish before the deadline; its outcome is unknown"};
        cancel(&late);
      }) {}

OpenCall::~OpenCall() {
  if (ended()) return;
  answer({wire::Code::kInternal, method_->full_name + ": the service let go of the call without an answer"}, {});
}

// Runs a function of the handler; the call lives meanwhile, and ends if it throws.
template <class Function>
void OpenCall::run(const Function& function) {
  const auto self = shared_from_this();
  if (environment_->run(method_->full_name, function)) return;
  const wire::Status failed{wire::Code::kInternal,
                            method_->full_name + ": the service failed; its own log may say why"};
  cancel(&failed);
}

void OpenCall::start(std::string_view payload) {
  const auto request = method_->client_streams ? std::string_view() : payload;
  run([&] { method_->start(shared_from_this(), request); });
  if (ended()) return;
  timer_.set(deadline_);
  if (!method_->client_streams || payload.empty()) return;
  first_is_free_ = true;
  take_message(payload);
}

// ---------------------------------------------------------------- the end

void OpenCall::finish(const Status& status, hostcall_payload reply) { answer(to_wire(status), to_wire(reply)); }

void OpenCall::answer(const wire::Status& status, const wire::Payload& reply) {
  if (ended()) return;
  auto& owner = *owner_;
  auto& stream = *stream_;
  leave();
  owner.answer_call(stream, status, reply, method_->server_streams);
  const auto dropped = std::exchange(callbacks_, {});
}

void OpenCall::cancel(const wire::Status* status) {
  if (ended()) return;
  const auto self = shared_from_this();
  auto& environment = *environment_;
  auto& owner = *owner_;
  auto& stream = *stream_;
  leave();
  cancelled_ = true;
  if (status != nullptr) owner.answer_call(stream, *status, {}, method_->server_streams);
  const auto callbacks = std::exchange(callbacks_, {});
  if (callbacks.cancel) environment.run(method_->full_name, *callbacks.cancel);
}

// From here on the call has ended.
void OpenCall::leave() {
  if (inbox_.cost() != 0) uncharge(inbox_.cost());
  if (!delivers_kept_) inbox_ = {};
  timer_.cancel();
  stream_->context = nullptr;
  environment_ = nullptr;
  owner_ = nullptr;
  stream_ = nullptr;
}

// ---------------------------------------------------------------- messages to the caller

Progress OpenCall::try_send(hostcall_payload message) {
  if (ended()) return Progress::kEnded;
  if (message.size > wire::kMaxDataBytes) {
    const wire::Status too_large{wire::Code::kResourceExhausted, method_->full_name + ": a message of " +
                                                                     std::to_string(message.size) +
                                                                     " bytes is more than a frame can hold (" +
                                                                     std::to_string(wire::kMaxDataBytes) + ")"};
    answer(too_large, {});
    return Progress::kEnded;
  }
  switch (owner_->send_message(*stream_, to_wire(message))) {
    case wire::SendOutcome::kSent: return Progress::kDone;
    case wire::SendOutcome::kBlocked: return Progress::kWouldBlock;
    case wire::SendOutcome::kEnded: break;
  }
  return Progress::kEnded;
}

void OpenCall::writable() {
  if (const auto callback = callbacks_.writable) run(*callback);
}

// ---------------------------------------------------------------- messages from the caller

void OpenCall::take_message(std::string_view bytes) { takes_messages() ? deliver(bytes) : keep(bytes); }

// Credit goes back once the handler has used the message.
void OpenCall::deliver(std::string_view bytes) {
  const auto callback = callbacks_.message;
  const bool is_free = std::exchange(first_is_free_, false);
  run([&] { (*callback)(bytes); });
  if (!ended() && !is_free) owner_->message_taken(*stream_, bytes.size());
}

// Kept messages are charged to the server's memory, and take nothing off the credit that all calls of the connection
// share.
void OpenCall::keep(std::string_view bytes) {
  const auto cost = client::Inbox::cost_of(bytes.size());
  if (!environment_->memory.try_charge(cost)) {
    const wire::Status full{wire::Code::kResourceExhausted,
                            method_->full_name +
                                ": the service has no memory left for messages that wait (limit max_memory_bytes, " +
                                std::to_string(environment_->options.max_memory_bytes) + "); try again later"};
    return cancel(&full);
  }
  if (!first_is_free_ || !inbox_.empty()) owner_->message_kept(*stream_, bytes.size());
  owner_->note_kept(static_cast<std::ptrdiff_t>(cost));
  inbox_.push(bytes);
}

void OpenCall::uncharge(std::size_t cost) {
  environment_->memory.release(cost);
  owner_->note_kept(-static_cast<std::ptrdiff_t>(cost));
}

void OpenCall::deliver_kept() {
  deliver_soon_ = false;
  for (int left = kMessagesPerTurn; left != 0 && !ended() && !paused_ && callbacks_.message && !inbox_.empty();
       --left) {
    const auto bytes = inbox_.take();
    uncharge(client::Inbox::cost_of(bytes.size()));
    delivers_kept_ = true;
    deliver(bytes);
    delivers_kept_ = false;
  }
  if (ended()) {
    inbox_ = {};
  } else if (!inbox_.empty()) {
    deliver_later();
  } else {
    inbox_.release();
    report_remote_closed();
  }
}

void OpenCall::deliver_later() {
  const bool has_news = (!inbox_.empty() && callbacks_.message) || (remote_closed_ && callbacks_.remote_closed);
  if (ended() || paused_ || deliver_soon_ || !has_news) return;
  deliver_soon_ = true;
  environment_->turns.deliver_later(shared_from_this());
}

void OpenCall::set_paused(bool paused) {
  paused_ = paused;
  deliver_later();
}

void OpenCall::on_message(std::function<void(std::string_view)> function) {
  if (ended()) return;
  callbacks_.message = share(std::move(function));
  deliver_later();
}

void OpenCall::on_remote_closed(std::function<void()> function) {
  if (ended()) return;
  callbacks_.remote_closed = share(std::move(function));
  deliver_later();
}

void OpenCall::remote_closed() {
  remote_closed_ = true;
  if (inbox_.empty()) report_remote_closed();
}

// Behind the last message, also if that waits for the handler.
void OpenCall::report_remote_closed() {
  if (!remote_closed_ || paused_) return;
  if (const auto callback = std::exchange(callbacks_.remote_closed, nullptr)) run(*callback);
}

// ---------------------------------------------------------------- facts

const Caller& OpenCall::caller() const {
  if (!caller_) caller_ = trusted_ ? caller_of({.data = metadata_}) : Caller();
  return *caller_;
}

std::uint64_t OpenCall::call_id() const { return trusted_ ? call_id_of({.data = metadata_}) : 0; }

std::optional<std::string_view> OpenCall::metadata(std::string_view key) const {
  if (!trusted_ && key.starts_with(kReservedPrefix)) return std::nullopt;
  return wire::RequestView{.data = metadata_}.metadata(key);
}

}  // namespace hostcall::server
