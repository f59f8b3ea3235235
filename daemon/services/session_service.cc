#include "daemon/services/session_service.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>

#include "daemon/services/limit_messages.h"
#include "hostcall/v1/session.hostcall.h"
#include "proto/base/escape.h"
#include "proto/descriptors.h"

namespace hostcall::daemon {
namespace {

constexpr std::size_t kMaxPingBytes = 1024;

Status who_am_i(const CallContext& context, const v1::WhoAmIRequest&, v1::WhoAmIResponse& response) {
  const auto& caller = context.caller;
  response.set_vm_name(caller.name());
  response.set_session_id(context.session.session_id());
  if (caller.peer.family == net::Address::Family::kVsock) {
    response.set_evidence("cid");
    response.set_cid(caller.peer.cid);
    response.set_port(caller.peer.port);
  } else if (caller.audience == Audience::kAdmin) {
    response.set_evidence("admin");
    response.set_unix_path(caller.listener->substr(std::string_view("unix:").size()));
  } else {
    response.set_evidence("unix");
  }
  if (!caller.vm) return {};
  const auto& record = caller.vm->record;
  response.set_uuid(record.uuid);
  for (const auto& tag : record.tags) response.add_tags(tag);
  response.set_registration(caller.vm->registration);
  response.set_boot_id(caller.vm->boot_id);
  return {};
}

Status list_services(const store::Engine& engine, const CallContext& context, v1::ListServicesResponse& response) {
  context.spend(context.session.list_allowed(response));
  if (!context.caller.vm) return {};
  const auto& vm = *context.caller.vm;
  fill_limits(limits_left(vm, engine.usage(vm.record.name), context.now), *response.mutable_limits());
  return {};
}

Status ping(const CallContext&, const v1::PingRequest& request, v1::PingResponse& response) {
  if (request.payload().size() > kMaxPingBytes)
    return {Code::kInvalidArgument, "the payload of a ping has " + std::to_string(request.payload().size()) +
                                        " bytes, at most " + std::to_string(kMaxPingBytes) + " are allowed"};
  response.set_payload(request.payload());
  return {};
}

// Whether a file of a descriptor set is that of the service for administrators, which guests shall not learn about. Its
// first field is its name.
bool is_for_administrators(std::string_view file) {
  constexpr std::string_view kName = "hostcall/v1/admin.proto";
  constexpr std::size_t kTagAndLength = 2;
  return file.size() > kTagAndLength && file.substr(kTagAndLength).starts_with(kName);
}

// The descriptor set without the files that are not for guests.
std::string guest_descriptor_set() {
  using google::protobuf::io::CodedInputStream;
  const auto all = descriptor_set();
  CodedInputStream in(reinterpret_cast<const std::uint8_t*>(all.data()), static_cast<int>(all.size()));
  std::string set;
  const auto position = [&in] { return static_cast<std::size_t>(in.CurrentPosition()); };
  for (;;) {
    const auto begin = position();
    std::uint32_t length = 0;
    if (in.ReadTag() == 0 || !in.ReadVarint32(&length)) return set;
    const auto file = all.substr(position(), length);
    in.Skip(static_cast<int>(length));
    if (!is_for_administrators(file)) set += all.substr(begin, position() - begin);
  }
}

// Whether the name is in the package that belongs to hostcall, of which everybody may ask for the description.
bool is_own(std::string_view service) { return service.empty() || service.starts_with("hostcall."); }

// Whether policy may allow the caller a method of the service.
bool may_call(const CallContext& context, const std::string& service) {
  v1::ListServicesResponse allowed;
  context.spend(context.session.list_allowed(allowed));
  return std::ranges::any_of(allowed.methods(),
                             [&](const auto& method) { return method.method().starts_with(service + "/"); });
}

// Who may call nothing of a service learns nothing of it.
Status find_routed(const ServiceCatalog& catalog, const CallContext& context, const std::string& service,
                   std::string_view& set) {
  const auto found = catalog.services().find(service);
  if (!found || found->routed() == nullptr || !may_call(context, service))
    return {Code::kNotFound, "the host has no service " + in_quotes(service) + " that this VM may call"};
  const auto& described = found->routed()->described;
  if (!described)
    return {Code::kNotFound, "the host has no description of " + in_quotes(service) +
                                 R"(; its administrator adds "descriptors" in services.d)"};
  set = described->set;
  return {};
}

Status descriptors(const ServiceCatalog& catalog, const std::string& for_guests, const CallContext& context,
                   const v1::DescriptorsRequest& request, v1::DescriptorsResponse& response) {
  auto set = context.caller.audience == Audience::kAdmin ? descriptor_set() : std::string_view(for_guests);
  if (!is_own(request.service()))
    if (auto status = find_routed(catalog, context, request.service(), set); !status.ok()) return status;
  if (set.size() + 64 > context.max_reply_bytes())
    return {Code::kResourceExhausted, "the descriptor set of " + std::to_string(set.size()) +
                                          " bytes does not fit into outbound_bytes now; read the replies first"};
  context.spend(set.size() / kCopiedBytesPerUnit);
  response.set_file_descriptor_set(std::string(set));
  return {};
}

}  // namespace

void register_session_service(Router& router, const store::Engine& engine, const ServiceCatalog& catalog) {
  namespace Session = v1::Session;
  router.protocol<Session::Hello>(Audience::kGuest);
  router.unary<Session::WhoAmI>(Audience::kGuest, who_am_i);
  router.unary<Session::ListServices>(
      Audience::kGuest,
      [&engine](const CallContext& context, const v1::ListServicesRequest&, v1::ListServicesResponse& response) {
        return list_services(engine, context, response);
      });
  router.unary<Session::Ping>(Audience::kGuest, ping);
  router.unary<Session::Descriptors>(
      Audience::kGuest,
      [&catalog, for_guests = guest_descriptor_set()](const CallContext& context, const v1::DescriptorsRequest& request,
                                                      v1::DescriptorsResponse& response) {
        return descriptors(catalog, for_guests, context, request, response);
      });
  router.check_complete(Session::kAllMethods);
}

}  // namespace hostcall::daemon
