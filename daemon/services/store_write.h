// StoreWrite: a call that changes the store. Submits its transaction, and answers once the disk has it.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "daemon/calls/call.h"
#include "daemon/services/store_messages.h"

namespace hostcall::daemon {

template <class Response>
class StoreWrite final : public CallHandler {
 public:
  // Fills in the response from the outcome. May run after the call is over, so it refers to nothing of it.
  using Fill = std::function<void(const store::Outcome&, Response&)>;

  // `held`: the VM's charge for the transaction. The engine and the caller must outlive the call.
  StoreWrite(store::Engine& engine, const Caller& caller, store::Transaction transaction, Fill fill, Charge held)
      : engine_(engine),
        caller_(caller),
        transaction_(std::move(transaction)),
        fill_(std::move(fill)),
        held_(std::move(held)) {}

 private:
  void start() override {
    if (transaction_.idempotency)
      transaction_.idempotency->encode = [fill = fill_](const store::Outcome& outcome) {
        Response response;
        fill(outcome, response);
        return response.SerializeAsString();
      };
    ticket_ = engine_.submit(std::move(transaction_), [this](const store::Outcome& outcome) { answer(outcome); });
  }
  void answer(const store::Outcome& outcome) {
    if (outcome.code != store::OutcomeCode::kDone) return call().finish(status_of(caller_, outcome));
    Response response;
    if (outcome.replayed)
      parse_message(outcome.answer, response);
    else
      fill_(outcome, response);
    call().reply(response);
  }

  store::Engine& engine_;
  const Caller& caller_;
  store::Transaction transaction_;
  Fill fill_;
  Charge held_;
  std::unique_ptr<store::Ticket> ticket_;
};

}  // namespace hostcall::daemon
