#include "daemon/router.h"

#include <google/protobuf/io/coded_stream.h>

#include <stdexcept>

namespace hostcall::daemon {
namespace {

// Nesting costs stack; no message of ours is deeper than a few levels.
constexpr int kMaxDepth = 16;

}  // namespace

wire::Payload payload_of(const google::protobuf::MessageLite& message) {
  const auto write = [](const void* source, std::size_t, char* out) {
    static_cast<const google::protobuf::MessageLite*>(source)->SerializeWithCachedSizesToArray(
        reinterpret_cast<std::uint8_t*>(out));
  };
  return {&message, message.ByteSizeLong(), write};
}

bool parse_message(std::string_view bytes, google::protobuf::MessageLite& message) {
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                               static_cast<int>(bytes.size()));
  input.SetRecursionLimit(kMaxDepth);
  return message.ParseFromCodedStream(&input) && input.ConsumedEntireMessage();
}

Status unparseable(std::string_view method) {
  return {Code::kInvalidArgument, "the payload is not a request message of " + std::string(method)};
}

Method::Method(std::string_view service, std::string_view method, wire::Shape method_shape, Audience method_audience)
    : name(std::string(service) + "/" + std::string(method)), shape(method_shape), audience(method_audience) {}

void Router::add(std::unique_ptr<Method> method) {
  method->index = static_cast<std::uint32_t>(methods_.size());
  const std::string_view name = method->name;
  const auto slash = name.find('/');
  by_service_[name.substr(0, slash)].emplace(name.substr(slash + 1), method.get());
  methods_.push_back(std::move(method));
}

Method* Router::find(std::string_view service, std::string_view method) const {
  const auto methods = by_service_.find(service);
  if (methods == by_service_.end()) return nullptr;
  const auto found = methods->second.find(method);
  return found == methods->second.end() ? nullptr : found->second;
}

Method* Router::find(std::string_view full_name) const {
  const auto slash = full_name.find('/');
  if (slash == std::string_view::npos) return nullptr;
  return find(full_name.substr(0, slash), full_name.substr(slash + 1));
}

bool Router::serves(std::string_view call) const {
  if (call == "*") return true;
  if (call.ends_with("/*")) return by_service_.contains(call.substr(0, call.size() - 2));
  return find(call) != nullptr;
}

void Router::require(std::string_view name) const {
  if (find(name) == nullptr) throw std::logic_error("no handler is registered for " + std::string(name));
}

}  // namespace hostcall::daemon
