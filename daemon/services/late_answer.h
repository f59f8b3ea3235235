// LateAnswer: the handler of a call that is answered when something else is done, which goes on even if the call ends
// before.
#pragma once

#include <functional>
#include <memory>

#include "daemon/calls/call.h"

namespace hostcall::daemon {

class LateAnswer final : public CallHandler {
 public:
  // Whom to answer. Does nothing once the call has ended.
  class To {
   public:
    void reply(const google::protobuf::MessageLite& message) const {
      if (const auto call = call_.lock()) (*call)->call().reply(message);
    }
    void finish(const Status& status) const {
      if (const auto call = call_.lock()) (*call)->call().finish(status);
    }

   private:
    friend class LateAnswer;
    explicit To(const std::shared_ptr<LateAnswer*>& call) : call_(call) {}
    std::weak_ptr<LateAnswer*> call_;
  };

  To to() const { return To(self_); }

 private:
  const std::shared_ptr<LateAnswer*> self_ = std::make_shared<LateAnswer*>(this);
};

}  // namespace hostcall::daemon
