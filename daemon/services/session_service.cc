#include "daemon/services/session_service.h"

#include <algorithm>

#include "daemon/services/limit_messages.h"
#include "hostcall/v1/session.hostcall.h"
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
  } else {
    response.set_evidence(caller.audience == Audience::kAdmin ? "admin" : "unix");
    response.set_unix_path(caller.listener->substr(std::string_view("unix:").size()));
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
  context.session.list_allowed(response);
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

Status descriptors(const CallContext& context, const v1::DescriptorsRequest&, v1::DescriptorsResponse& response) {
  const auto set = descriptor_set();
  if (set.size() + 64 > context.max_message_bytes)
    return {Code::kResourceExhausted,
            "the descriptor set has " + std::to_string(set.size()) + " bytes, more than the limit message_bytes"};
  response.set_file_descriptor_set(std::string(set));
  return {};
}

}  // namespace

void register_session_service(Router& router, const store::Engine& engine) {
  namespace Session = v1::Session;
  router.protocol<Session::Hello>(Audience::kGuest);
  router.unary<Session::WhoAmI>(Audience::kGuest, who_am_i);
  router.unary<Session::ListServices>(
      Audience::kGuest,
      [&engine](const CallContext& context, const v1::ListServicesRequest&, v1::ListServicesResponse& response) {
        return list_services(engine, context, response);
      });
  router.unary<Session::Ping>(Audience::kGuest, ping);
  router.unary<Session::Descriptors>(Audience::kGuest, descriptors);
  router.check_complete(Session::kAllMethods);
}

}  // namespace hostcall::daemon
