// LateAnswer: the handler of a call that is answered when something else is done, which goes on even if the call ends
// before.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "daemon/calls/call.h"

namespace hostcall::daemon {

class LateAnswer final : public CallHandler {
 private:
  struct Link {
    LateAnswer* handler;  // null: the call has ended
    std::function<void(const Status&)> on_answer;
  };

 public:
  LateAnswer() : link_(std::make_shared<Link>(Link{this, {}})) {}
  ~LateAnswer() override { link_->handler = nullptr; }

  // Whom to answer, once. The call may have ended.
  class To {
   public:
    void reply(const google::protobuf::MessageLite& message) const {
      tell({});
      if (link_->handler != nullptr) link_->handler->call().reply(message);
    }
    void finish(const Status& status) const {
      tell(status);
      if (link_->handler != nullptr) link_->handler->call().finish(status);
    }

   private:
    friend class LateAnswer;
    explicit To(std::shared_ptr<Link> link) : link_(std::move(link)) {}
    void tell(const Status& status) const {
      if (const auto on_answer = std::exchange(link_->on_answer, {})) on_answer(status);
    }
    std::shared_ptr<Link> link_;
  };

  To to() const { return To(link_); }
  // Is told the answer just before the caller, even if the call has ended.
  void on_answer(std::function<void(const Status&)> told) { link_->on_answer = std::move(told); }

 private:
  const std::shared_ptr<Link> link_;
};

}  // namespace hostcall::daemon
