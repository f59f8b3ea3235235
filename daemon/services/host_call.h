// HostCall: what the calls that use a service of services.d have in common. Their first message names the service; then
// policy decides, and a place at the service is taken.
#pragma once

#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/calls/router.h"
#include "daemon/calls/service_catalog.h"
#include "daemon/calls/session_units.h"
#include "daemon/config/config.h"
#include "daemon/loop/descriptors.h"
#include "daemon/loop/reactor.h"
#include "daemon/services/host_calls.h"
#include "daemon/services/host_writer.h"
#include "daemon/services/runner.h"

namespace hostcall::daemon {

inline constexpr Timeouts kDefaultTimeouts{};

// What these services need. All must outlive their calls.
struct HostCallEnvironment {
  Reactor& reactor;
  ServiceCatalog& catalog;
  Runner& runner;
  HostCalls& calls;
  pid_t own_pid = ::getpid();  // whose sockets no service may be
  DescriptorShares descriptors{};
  const Timeouts& timeouts = kDefaultTimeouts;
};

class HostCall : public CallHandler, public ListedHostCall, protected Worker {
 public:
  // How long the caller may take to name the service.
  static constexpr Duration kFirstMessage = seconds(10);
  // What a call takes of memory, beside what it keeps for its caller.
  static constexpr std::size_t kOwnBytes = 2048;

  // `memory`: charged with kOwnBytes.
  HostCall(const HostCallEnvironment& environment, const Method& method, const CallContext& context, Charge memory);
  ~HostCall() override { environment_.calls.remove(number_); }

  // Nothing is decided yet before the first message.
  bool may_be_ended() const override { return service_ != nullptr; }
  void on_drain() override;
  HostCallInfo info() const override;
  void end_by_administrator() override;
  void describe(CallRecord& facts) const final;

 protected:
  const HostCallEnvironment& environment() const { return environment_; }
  const Caller& caller() const { return caller_; }
  SessionFacts& session() { return session_; }
  // Only after use_service().
  const ServiceRecord& service() const { return *service_; }
  bool has_service() const { return service_ != nullptr; }
  // A message without a service came first, or one with it later: ends the call and returns false.
  bool check_order(std::string_view service_name);
  // Asks policy, finds the service and takes a place.
  [[nodiscard]] Status use_service(std::string_view name);
  // Takes a place at a service that policy has allowed.
  [[nodiscard]] Status take_place(std::shared_ptr<const ServiceRecord> found);
  // What the next daemon needs to know of it, and how that one finds its service: as it was, or not at all.
  void tell(handover::HostCall& out) const;
  [[nodiscard]] Status take_service_again(const handover::HostCall& in);
  // Its number among all calls that use a service. Only after use_service().
  std::uint64_t number() const { return number_; }
  // Gives the place at the service back before the call ends.
  void leave_service() { slot_ = {}; }
  // RESOURCE_EXHAUSTED: the last descriptors are not for guests.
  [[nodiscard]] Status check_descriptor(int fd) const;
  // NOT_FOUND: the service is of another kind.
  virtual Status check_kind(const ServiceRecord& found) const = 0;
  void end(const Status& status);
  // Ends the call as its server has.
  void end_with(const Status& status, std::string_view reply);
  bool is_over() const { return over_; }

  // The one timer of the call: it has to name its service until then, and later whatever on_time() does.
  Timer& timer() { return timer_; }
  virtual void on_time() {}
  // Of the record: how the service was used.
  virtual void describe_use(CallRecord& facts) const = 0;

  bool may_work() { return environment_.reactor.work().may_work(share_); }
  void wait_for_turn() { environment_.reactor.work().wait(share_, *this); }
  void spend(std::size_t bytes) { session_.spend(units_of_message(bytes)); }
  // Writes what was kept for the host, and pays for it.
  HostWriter::Outcome flush(HostWriter& writer);
  // RESOURCE_EXHAUSTED: `who`, of the service, reads slowly.
  Status no_memory(std::string_view who) const;

 private:
  void start() override { timer_.set(environment_.reactor.now() + kFirstMessage); }
  void resumed() override {
    if (!has_service()) return start();
    resumed_service();
  }
  virtual void resumed_service() {}
  bool begin_end();
  void time_is_up();
  void begin_record();

  const HostCallEnvironment environment_;
  const Method& method_;
  const Caller& caller_;
  SessionFacts& session_;
  Share& share_;
  Charge memory_;
  std::shared_ptr<const ServiceRecord> service_;
  ServiceSlot slot_;
  Timer timer_;
  std::uint64_t number_ = 0;  // among the environment's calls; 0: it is not one of them
  TimePoint began_;           // to use the service
  bool over_ = false;
};

// INVALID_ARGUMENT: this can't be the name of a service.
Status check_service_name(std::string_view name);

// For a call that has just begun: charges its memory. Not OK: there is not enough.
Status charge_host_call(const CallContext& context, Charge& memory);

// Registers a method whose calls are a class of HostCall. Its take_up() makes a new call one that goes on where another
// daemon's was, from resumed_service() on; or it tells why that is not possible.
template <class M, class Call>
void register_host_call(Router& router, const HostCallEnvironment& environment) {
  router.opened<M>(Audience::kGuest, check_service_name,
                   [environment](const Method& method, const CallContext& context, Handler& handler) -> Status {
                     Charge memory;
                     if (auto status = charge_host_call(context, memory); !status.ok()) return status;
                     handler = std::make_unique<Call>(environment, method, context, std::move(memory));
                     return {};
                   });
  router.resumes<M>([environment, &router](const CallContext& context, const handover::Call& in, Incoming& incoming,
                                           Handler& handler) -> Status {
    Charge memory;
    if (auto status = charge_host_call(context, memory); !status.ok()) return status;
    const auto& method = *router.find(M::kService, M::kMethod);
    auto call = std::make_unique<Call>(environment, method, context, std::move(memory));
    if (auto status = call->take_up(in, incoming); !status.ok()) return status;
    handler = std::move(call);
    return {};
  });
}

}  // namespace hostcall::daemon
