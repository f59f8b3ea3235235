#include "daemon/services/routed_service.h"

#include <utility>

#include "daemon/services/routed_call.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

wire::Shape shape_of(const MethodShape& method) {
  if (method.client_streams) return method.server_streams ? wire::Shape::kBidiStream : wire::Shape::kClientStream;
  return method.server_streams ? wire::Shape::kServerStream : wire::Shape::kUnary;
}

class RoutedMethod final : public Method {
 public:
  RoutedMethod(const HostCallEnvironment& environment, std::shared_ptr<const ServiceRecord> record, Backends& backends,
               std::string_view method, wire::Shape method_shape)
      : Method(record->name, method, method_shape, Audience::kGuest),
        environment_(environment),
        record_(std::move(record)),
        backends_(backends) {}

  bool is_described() const override { return record_->routed()->described.has_value(); }
  Answer start(const CallContext& context, std::string_view, Handler& handler) override {
    if (auto status = check(context); !status.ok()) return {std::move(status), {}};
    Charge memory;
    if (auto status = charge_host_call(context, memory); !status.ok()) return {std::move(status), {}};
    if (!backend_) backend_ = backends_.of(record_);
    auto call = std::make_unique<RoutedCall>(environment_, *this, context, std::move(memory), backend_);
    if (auto status = call->take_place(record_); !status.ok()) return {std::move(status), {}};
    handler = std::move(call);
    return {};
  }

 private:
  Status check(const CallContext& context) const {
    if (!context.caller.vm)
      return {Code::kFailedPrecondition,
              name + " is for VMs, and the admin socket belongs to none; call it from a VM's socket"};
    const auto& routed = *record_->routed();
    if (shape == wire::Shape::kUnary || routed.streaming || routed.described) return {};
    return {Code::kUnimplemented,
            "the host passes no streams to the server of " + in_quotes(record_->name) +
                R"(; if the server takes them, the host's administrator adds "streaming": true in services.d)"};
  }

  const HostCallEnvironment& environment_;
  const std::shared_ptr<const ServiceRecord> record_;
  Backends& backends_;
  std::shared_ptr<Backend> backend_;  // from the first call on
};

// A method of a service whose entry has an error.
class DisabledMethod final : public Method {
 public:
  DisabledMethod(const ServiceCatalog& catalog, std::string_view of_service, std::string_view method,
                 wire::Shape method_shape)
      : Method(of_service, method, method_shape, Audience::kGuest), catalog_(catalog) {}
  Answer start(const CallContext&, std::string_view, Handler&) override {
    std::shared_ptr<const ServiceRecord> found;
    return {catalog_.find(service, found), {}};
  }

 private:
  const ServiceCatalog& catalog_;
};

}  // namespace

std::shared_ptr<Method> RoutedServices::find(std::string_view service, std::string_view method,
                                             wire::Shape asked) const {
  const auto generation = environment_.catalog.generation();
  const bool is_last = last_.generation == generation && last_.asked == asked && last_.method->is(service, method);
  if (is_last) return last_.method;
  auto found = look_up(service, method, asked);
  if (found) last_ = {.method = found, .asked = asked, .generation = generation};
  return found;
}

std::shared_ptr<Method> RoutedServices::look_up(std::string_view service, std::string_view method,
                                                wire::Shape asked) const {
  const auto& services = environment_.catalog.services();
  auto record = services.find(service);
  const bool can_be_named = method.size() <= kMaxMethodName && is_identifier(method);
  if (!record && services.disabled(service) != nullptr && can_be_named)
    return std::make_shared<DisabledMethod>(environment_.catalog, service, method, asked);
  if (!record || record->routed() == nullptr) return nullptr;
  if (const auto& described = record->routed()->described) {
    const auto at = described->methods.find(method);
    if (at == described->methods.end()) return nullptr;
    asked = shape_of(at->second);
  } else if (!can_be_named) {
    return nullptr;
  }
  return std::make_shared<RoutedMethod>(environment_, std::move(record), backends_, method, asked);
}

std::vector<std::string> RoutedServices::names() const {
  std::vector<std::string> names;
  environment_.catalog.services().for_each("", [&](const ServiceRecord& service) {
    for (auto& method : service.method_names()) names.push_back(std::move(method));
    return true;
  });
  return names;
}

}  // namespace hostcall::daemon
