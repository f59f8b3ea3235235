// StoreWrite: a call that changes the store. Submits its transaction, and answers once the disk has it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "daemon/calls/call.h"
#include "daemon/services/store_messages.h"

namespace hostcall::daemon {

template <class Response>
class StoreWrite final : public CallHandler {
 public:
  // How an outcome becomes a response. May run after the call is over, so it refers to nothing of it.
  struct Reply {
    std::function<void(const store::Outcome&, Response&)> fill;
    // The bytes of the response, or somewhat more.
    std::function<std::size_t(const store::Outcome&)> most_bytes;
  };

  // `held`: the VM's charge for the transaction. `keys`: what is written, for the record. The engine and the caller
  // must outlive the call.
  StoreWrite(store::Engine& engine, const Caller& caller, store::Transaction transaction, Reply reply, Charge held,
             std::string keys)
      : engine_(engine),
        caller_(caller),
        transaction_(std::move(transaction)),
        reply_(std::move(reply)),
        held_(std::move(held)),
        keys_(std::move(keys)) {}

  // It is on its way to the disk.
  bool may_be_ended() const override { return false; }
  void describe(CallRecord& record) const override {
    record.resource = keys_;
    if (!answered_) record.outcome = "not known, because the caller has gone";
  }

 private:
  void start() override {
    transaction_.accept = [this](const store::Outcome& outcome) { return has_room_for(outcome); };
    if (transaction_.idempotency)
      transaction_.idempotency->encode = [fill = reply_.fill](const store::Outcome& outcome) {
        Response response;
        fill(outcome, response);
        return response.SerializeAsString();
      };
    ticket_ = engine_.submit(std::move(transaction_), [this](const store::Outcome& outcome) { answer(outcome); });
  }
  // Before anything is done, because what is done must be answered.
  bool has_room_for(const store::Outcome& outcome) {
    no_room_ = call().reserve_reply(outcome.replayed ? outcome.answer.size() : reply_.most_bytes(outcome));
    if (!no_room_.ok())
      no_room_.message += outcome.replayed ? " (an earlier attempt has done this write)" : " (nothing was done)";
    return no_room_.ok();
  }
  void answer(const store::Outcome& outcome) {
    answered_ = true;
    if (outcome.code == store::OutcomeCode::kNoRoom && !no_room_.ok()) return call().finish(no_room_);
    if (outcome.code != store::OutcomeCode::kDone)
      return call().finish(status_of(StoreNames(caller_), caller_, outcome));
    Response response;
    if (outcome.replayed)
      parse_message(outcome.answer, response);
    else
      reply_.fill(outcome, response);
    call().reply(response);
  }

  store::Engine& engine_;
  const Caller& caller_;
  store::Transaction transaction_;
  Reply reply_;
  Charge held_;
  const std::string keys_;
  Status no_room_;  // why the outcome can't be answered
  bool answered_ = false;
  std::unique_ptr<store::Ticket> ticket_;
};

}  // namespace hostcall::daemon
