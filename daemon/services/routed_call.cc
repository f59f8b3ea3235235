#include "daemon/services/routed_call.h"

#include <cerrno>
#include <utility>

#include "daemon/calls/router.h"
#include "daemon/services/route_metadata.h"
#include "proto/base/bounded_text.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

constexpr Duration kRetryEvery = milliseconds(20);
// A call passes through two connections; a new one costs more.
constexpr std::size_t kOpenUnits = 4;
constexpr std::size_t kConnectUnits = 20;
constexpr std::size_t kPairsPerUnit = 16;
// Details of a status are for programs; with more, a status is no longer one.
constexpr std::size_t kMaxDetails = 64 * 1024;

// Only gRPC's codes mean the same to all callers.
Status in_known_code(Status status) {
  if (wire::find_code_name(status.code) == nullptr) status.code = Code::kUnknown;
  if (status.details.size() > kMaxDetails) status.details.clear();
  if (status.message.size() > kMaxToldText) status.message = bounded_text(status.message);
  return status;
}

Status no_room_for_replies(const Caller& caller) {
  return over_limit(caller, "memory_bytes", caller.vm->quota.limits().memory_bytes,
                    "read the replies of the call faster");
}

// Spends the cost of a new connection, if there is one in its lifetime, also of one that fails.
class PaidConnection {
 public:
  PaidConnection(const Backend& backend, SessionFacts& session)
      : backend_(backend), session_(session), before_(backend.attempts()) {}
  ~PaidConnection() {
    if (backend_.attempts() != before_) session_.spend(static_cast<Units>(kConnectUnits));
  }
  PaidConnection(const PaidConnection&) = delete;
  PaidConnection& operator=(const PaidConnection&) = delete;

 private:
  const Backend& backend_;
  SessionFacts& session_;
  const std::uint64_t before_;
};

}  // namespace

RoutedCall::RoutedCall(const HostCallEnvironment& environment, const Method& method, const CallContext& context,
                       Charge memory, std::shared_ptr<Backend> backend)
    : HostCall(environment, method, context, std::move(memory)),
      method_(method),
      backend_(std::move(backend)),
      deadline_(context.deadline),
      request_(context.request),
      to_server_(context.caller.charge(Resource::kMemory)),
      to_caller_(context.caller.charge(Resource::kMemory)),
      kept_(context.caller.charge(Resource::kMemory)) {}

RoutedCall::~RoutedCall() { give_link_back(false); }

// ---------------------------------------------------------------- the call begins

void RoutedCall::start() {
  connect_until_ = environment().reactor.now() + kConnectLimit;
  connect();
  request_ = nullptr;
}

// Opens the call, or sees to it that it is opened later.
void RoutedCall::connect() {
  if (!take_link()) return;
  if (auto status = check_link(); !status.ok()) return fail(status);
  if (!link_->is_ready()) {
    link_->wait_for_ready(*this);
    (void)keep_request();
    return;
  }
  if (request_ != nullptr) return open(*request_);
  on_link_ready();
}

// False: there is no connection yet, or none at all.
bool RoutedCall::take_link() {
  const auto taken = service().routed()->protocol == Protocol::kTtrpc ? take_own_link(true) : take_shared_link();
  if (taken.ok()) return true;
  if (!try_again_later(taken.error())) end(unavailable(taken.error().message()));
  return false;
}

// The server's backlog may have room soon. False: it is no use.
bool RoutedCall::try_again_later(const Error& error) {
  const auto now = environment().reactor.now();
  if (error.code != EAGAIN || now >= connect_until_) return false;
  if (keep_request()) timer().set(now + kRetryEvery);
  return true;
}

Done RoutedCall::take_own_link(bool reuse) {
  const PaidConnection paid(*backend_, session());
  own_link_ = HOSTCALL_TRY(backend_->take(reuse));
  link_ = own_link_.get();
  return done();
}

Done RoutedCall::take_shared_link() {
  const PaidConnection paid(*backend_, session());
  link_ = HOSTCALL_TRY(backend_->share());
  return done();
}

// All calls share one of the descriptors, or each has its own.
Status RoutedCall::check_link() const { return own_link_ ? check_descriptor(own_link_->fd()) : Status{}; }

// False: the call has failed.
bool RoutedCall::keep_request() {
  if (request_ == nullptr) return true;  // it is kept
  if (!kept_.try_grow(request_->data.size())) {
    fail(no_memory("the server of"));
    return false;
  }
  kept_request_ = request_->data;
  return true;
}

void RoutedCall::on_link_ready() {
  const auto request = wire::parse_request(kept_request_);
  open(*request);
  if (!opened_ && !is_over()) return;  // the request waits again
  kept_request_ = {};
  kept_.reset();
}

void RoutedCall::open(const wire::RequestView& request) {
  RouteMetadata metadata(caller(), session().boot_id(), number());
  if (auto status = metadata.add(request, *service().routed()); !status.ok()) return fail(status);
  session().spend(static_cast<Units>(kOpenUnits + metadata.looked_at() / kPairsPerUnit));
  const auto left = deadline_ == kNever ? Duration::zero()
                                        : std::max<Duration>(deadline_ - environment().reactor.now(), nanoseconds(1));
  const wire::RequestFields fields{.service = request.service,
                                   .method = request.method,
                                   .timeout_nano = nanoseconds(left).count(),
                                   .metadata = metadata.list()};
  // What comes with the Request of a stream of messages is the first of them.
  const auto payload = wire::client_streams(method_.shape) ? std::string_view() : request.payload;
  if (wire::request_size(fields, payload.size()) > wire::kMaxDataBytes)
    return fail({Code::kResourceExhausted, "with its metadata the request has more than 4 MiB; send a smaller one"});
  if (is_out_of_memory()) return fail(no_memory("the server of"));
  if (const auto sent = open_on_link(fields, payload); !sent.ok()) {
    if (!try_again_later(sent.error())) fail(unavailable(sent.error().message()));
    return;
  }
  opened_ = true;
  from_caller_ += payload.size();
  send_kept_requests();
}

// A free connection may just have been closed by the server. Then a new one takes the request, which nobody has seen.
Done RoutedCall::open_on_link(const wire::RequestFields& fields, std::string_view payload) {
  const auto open = [&] {
    if (own_link_) own_link_->charge_to(caller().charge(Resource::kMemory), caller().charge(Resource::kMemory));
    return link_->open(*this, fields, payload, method_.shape);
  };
  if (open()) return done();
  give_link_back(false);
  HOSTCALL_TRY(take_own_link(false));
  if (open()) return done();
  return Error{0, "the server closed the connection at once"};
}

void RoutedCall::give_link_back(bool clean) {
  if (link_ != nullptr) link_->cancel(*this);
  link_ = nullptr;
  if (own_link_) backend_->give_back(std::move(own_link_), clean);
}

Status RoutedCall::unavailable(std::string_view why) const {
  return {Code::kUnavailable,
          "the server of " + in_quotes(service().name) + " does not serve the call: " + std::string(why)};
}

void RoutedCall::fail(const Status& status) {
  give_link_back(false);
  end(status);
}

// ---------------------------------------------------------------- to the server

void RoutedCall::on_message(std::string_view message) {
  if (is_over()) return;
  from_caller_ += message.size();
  if (opened_ && link_ == nullptr) return call().consumed(message.size());  // the server has answered
  const bool now = opened_ && to_server_.empty();
  if (now && is_out_of_memory()) return fail(no_memory("the server of"));
  const auto outcome = !now ? wire::SendOutcome::kBlocked : link_->send(*this, message);
  // The server may have ended its side: nobody will read the message.
  if (outcome != wire::SendOutcome::kBlocked) return call().consumed(message.size());
  if (!to_server_.push(message)) return fail(no_memory("the server of"));
  call().kept(message.size());
}

// What the server does not take at once is charged when it exists already, so it ends before there is more of it.
bool RoutedCall::is_out_of_memory() {
  const auto& quota = caller().vm->quota;
  if (quota.left(Resource::kMemory) != 0) return false;
  link_->send_now();
  return quota.left(Resource::kMemory) == 0;
}

void RoutedCall::on_remote_closed() {
  caller_closed_ = true;
  if (opened_) send_kept_requests();
}

void RoutedCall::on_server_writable() { send_kept_requests(); }

void RoutedCall::send_kept_requests() {
  if (is_over() || link_ == nullptr) return;
  while (!to_server_.empty()) {
    const auto size = to_server_.front().size();
    if (link_->send(*this, to_server_.front()) == wire::SendOutcome::kBlocked) return;
    session().spend(units_of_message(size));
    to_server_.pop();
    call().consumed(size);
  }
  if (caller_closed_) link_->close_send(*this);
}

// ---------------------------------------------------------------- to the caller

void RoutedCall::on_server_message(std::string_view message) {
  if (is_over()) return;
  from_server_ += message.size();
  spend(message.size());
  if (!to_caller_.empty()) return keep_reply(message);
  switch (call().send(message)) {
    case wire::SendOutcome::kSent: return link_->consumed(*this, message.size());
    case wire::SendOutcome::kBlocked: return keep_reply(message);
    case wire::SendOutcome::kEnded: return;
  }
}

// With ttrpc alone, only not to read keeps the server from sending more.
void RoutedCall::keep_reply(std::string_view message) {
  if (!to_caller_.push(message)) return fail(no_room_for_replies(caller()));
  link_->kept(*this, message.size());
  if (own_link_) own_link_->pause(true);
}

void RoutedCall::on_writable() {
  if (to_caller_.empty()) return call().pass();
  send_kept_replies();
}

void RoutedCall::send_kept_replies() {
  while (!is_over() && !to_caller_.empty()) {
    const auto size = to_caller_.front().size();
    if (call().send(std::string_view(to_caller_.front())) != wire::SendOutcome::kSent) return;
    to_caller_.pop();
    if (link_ != nullptr) link_->consumed(*this, size);
  }
  if (is_over()) return;
  if (answer_) return end_as_answered();
  if (own_link_) own_link_->pause(false);
}

// ---------------------------------------------------------------- the end

void RoutedCall::on_response(const wire::ResponseView& response) {
  if (is_over()) return;
  from_server_ += response.payload.size();
  spend(response.payload.size());
  finish(in_known_code(response.whole_status()), response.payload, true);
}

void RoutedCall::on_server_closed() {
  if (!is_over()) finish({}, {}, false);
}

void RoutedCall::finish(const Status& status, std::string_view payload, bool is_response) {
  give_link_back(!caller_closed_ ? !wire::client_streams(method_.shape) : to_server_.empty());
  if (to_caller_.empty()) {
    if (!is_response) return end(status);
    return end_with(status, payload);
  }
  if (!kept_.try_grow(payload.size() + status.message.size() + status.details.size()))
    return end(no_room_for_replies(caller()));
  answer_ = Answer{.status = status, .payload = std::string(payload), .is_response = is_response};
}

void RoutedCall::end_as_answered() {
  if (!answer_->is_response) return end(answer_->status);
  end_with(answer_->status, answer_->payload);
}

void RoutedCall::on_server_refused(wire::Refusal refusal) {
  if (is_over()) return;
  fail(refusal == wire::Refusal::kTooLarge
           ? Status{Code::kResourceExhausted, "a reply of " + in_quotes(service().name) + " has more than 4 MiB"}
           : over_limit(caller(), "memory_bytes", caller().vm->quota.limits().memory_bytes, "end another call first"));
}

void RoutedCall::on_link_lost(const std::string& why, bool begun) {
  link_ = nullptr;
  give_link_back(false);
  if (is_over()) return;
  end(unavailable(why + (opened_ && begun ? "; its outcome is unknown" : "")));
}

// Calls that last end now; others get some time to finish.
void RoutedCall::on_drain() {
  if (wire::client_streams(method_.shape) || wire::server_streams(method_.shape)) HostCall::on_drain();
}

void RoutedCall::describe_use(CallRecord& record) const {
  record.unit = service().routed()->address();
  record.bytes_in = from_caller_;
  record.bytes_out = from_server_;
}

}  // namespace hostcall::daemon
