// Registers the methods with which administrators change something: each call is recorded with who made it, what it was
// about and how it ended, also if the caller has gone meanwhile.
#pragma once

#include <memory>
#include <utility>

#include "daemon/calls/router.h"
#include "daemon/services/late_answer.h"
#include "daemon/vms/audit.h"

namespace hostcall::daemon {

// `describe`: Action(const Request&). `serve`: Status(const Request&, Response&, LateAnswerPtr&), which makes a
// LateAnswer if it does not answer at once. Both `audit` and the captures must outlive the router.
using LateAnswerPtr = std::unique_ptr<LateAnswer>;
template <class M, class Describe, class Serve>
void add_action(Router& router, Audit& audit, Describe describe, Serve serve) {
  router.unary<M>(Audience::kAdmin, [&audit, describe, serve](const CallContext& context, const auto& request,
                                                              auto& response, Handler& handler) {
    LateAnswerPtr later;
    auto status = serve(request, response, later);
    auto action = describe(request);
    if (later)
      later->on_answer([&audit, caller = context.caller, action = std::move(action)](const Status& outcome) {
        audit.action(caller, action, outcome);
      });
    else
      audit.action(context.caller, action, status);
    handler = std::move(later);
    return status;
  });
}

}  // namespace hostcall::daemon
