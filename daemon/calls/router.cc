#include "daemon/calls/router.h"

#include <stdexcept>

#include "proto/wire/message.h"

namespace hostcall::daemon {

wire::Payload payload_of(const google::protobuf::MessageLite& message) {
  const auto write = [](const void* source, std::size_t, char* out) {
    static_cast<const google::protobuf::MessageLite*>(source)->SerializeWithCachedSizesToArray(
        reinterpret_cast<std::uint8_t*>(out));
  };
  return {&message, message.ByteSizeLong(), write};
}

bool parse_message(std::string_view bytes, google::protobuf::MessageLite& message) {
  // Parsing from flat memory limits nesting to 100 levels. A coded stream would let us choose the limit, but costs
  // twice as much. No message of ours contains itself, so only unknown groups can nest.
  if (bytes.size() > 2 * kMaxFields && !wire::has_few_fields(bytes, kMaxFields)) return false;
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

Status unparseable(std::string_view method) {
  return {Code::kInvalidArgument, "the payload is not a request message of " + std::string(method) +
                                      ": it is malformed, or has a text that is not UTF-8, or more than " +
                                      std::to_string(kMaxFields) + " fields"};
}

Method::Method(std::string_view service_name, std::string_view method, wire::Shape method_shape,
               Audience method_audience, Kind kind)
    : name(std::string(service_name) + "/" + std::string(method)),
      service(std::string_view(name).substr(0, service_name.size())),
      shape(method_shape),
      audience(method_audience),
      is_protocol(kind == Kind::kProtocol) {}

Status Method::resume(const CallContext& context, const handover::Call& call, Incoming& incoming,
                      Handler& handler) const {
  if (resumes) return resumes(context, call, incoming, handler);
  return {Code::kUnavailable, "hostcalld was restarted, and calls of " + name + " do not outlast it"};
}

void Router::add(std::unique_ptr<Method> method) {
  method->index = static_cast<std::uint32_t>(methods_.size());
  method->counts = &tally_.of(method->name);
  const std::string_view name = method->name;
  const auto slash = name.find('/');
  by_service_[name.substr(0, slash)].emplace(name.substr(slash + 1), method.get());
  methods_.push_back(std::move(method));
}

Method* Router::find(std::string_view service, std::string_view method) const {
  if (last_found_ != nullptr && last_found_->is(service, method)) return last_found_;
  const auto methods = by_service_.find(service);
  if (methods == by_service_.end()) return nullptr;
  const auto found = methods->second.find(method);
  if (found == methods->second.end()) return nullptr;
  return last_found_ = found->second;
}

Method* Router::find(std::string_view full_name) const {
  const auto slash = full_name.find('/');
  if (slash == std::string_view::npos) return nullptr;
  return find(full_name.substr(0, slash), full_name.substr(slash + 1));
}

std::shared_ptr<Method> Router::route(std::string_view service, std::string_view method, wire::Shape asked) const {
  if (routes_ == nullptr) return nullptr;
  auto found = routes_->find(service, method, asked);
  if (found && found->counts == nullptr)
    found->counts = found->is_described() ? &tally_.of_routed(found->name) : &tally_.routed;
  return found;
}

std::vector<KnownNames::Method> Router::known_methods() const {
  std::vector<KnownNames::Method> known;
  for (const auto& method : methods_)
    known.push_back({method->name, method->audience == Audience::kGuest, method->has_resource()});
  return known;
}

void Router::require(std::string_view name) const {
  if (find(name) == nullptr) throw std::logic_error("no handler is registered for " + std::string(name));
}

}  // namespace hostcall::daemon
