// ScriptedEngine: a store whose every answer the test gives, when it wants to. It holds nothing but a few records.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/store/engine.h"
#include "daemon/store/key.h"

namespace hostcall::daemon::test {

class ScriptedEngine final : public store::Engine {
 public:
  // A transaction that was submitted; `dropped` when nobody waits for it any more.
  struct Submitted {
    store::Transaction transaction;
    OnOutcome on_outcome;
    bool dropped = false;
  };
  struct Purge {
    std::string vm;
    std::function<void(store::OutcomeCode)> done;
  };

  // As process() would: answers the oldest transaction, or the purge.
  void answer(const store::Outcome& outcome) {
    ASSERT_FALSE(submitted.empty());
    const auto oldest = std::exchange(submitted.front(), nullptr);
    submitted.pop_front();
    if (!oldest->dropped) oldest->on_outcome(outcome);
  }
  // Asks the oldest transaction whether the outcome can be answered, and answers it so or with kNoRoom.
  void settle(const store::Outcome& outcome) {
    ASSERT_FALSE(submitted.empty());
    const bool accepted = submitted.front()->transaction.accept(outcome);
    answer(accepted ? outcome : store::refused(store::OutcomeCode::kNoRoom, "no room"));
  }

  store::Ref get(std::string_view) const override { return nullptr; }
  void scan(std::string_view prefix, std::string_view, const Visit& visit) const override {
    for (const auto& record : records)
      if (store::covers(prefix, record->key()) && !visit(record)) return;
  }
  store::Revision revision() const override { return 7; }
  store::Usage usage(const std::string&) const override { return {}; }
  std::size_t history_bytes(const std::string&) const override { return 0; }
  store::Outcome read(const store::Transaction&) const override { return read_outcome; }
  std::unique_ptr<store::Ticket> submit(store::Transaction transaction, OnOutcome on_outcome) override {
    submitted.push_back(std::make_shared<Submitted>(Submitted{std::move(transaction), std::move(on_outcome)}));
    return std::make_unique<ScriptedTicket>(submitted.back());
  }
  // `next_watch`; else null, or one that always has `delivery`.
  std::unique_ptr<store::Watch> watch(const store::WatchOptions&, store::Watcher& watcher) override {
    watching = &watcher;
    if (next_watch) return std::move(next_watch);
    if (delivery) return std::make_unique<ScriptedWatch>(*this);
    return nullptr;
  }
  void end_session(const std::string&) override {}
  void end_boots(const std::string&, const std::string&) override {}
  void purge(const std::string& vm, std::function<void(store::OutcomeCode)> done) override {
    purges.push_back({vm, std::move(done)});
  }
  int fd() const override { return -1; }
  void process() override {}
  store::EngineStats stats() const override { return told_stats; }

  std::vector<store::Ref> records;
  std::deque<std::shared_ptr<Submitted>> submitted;
  // The test calls `copied`.
  std::unique_ptr<store::Ticket> copy_to(const std::string&, OnCopied done) override {
    copied = std::move(done);
    return std::make_unique<CopyTicket>();
  }
  struct CopyTicket final : store::Ticket {};
  OnCopied copied;
  std::vector<Purge> purges;
  store::Outcome read_outcome;
  std::unique_ptr<store::Watch> next_watch;  // what watch() returns
  store::Watcher* watching = nullptr;        // whom the latest watch notifies
  store::EngineStats told_stats;
  std::optional<store::Delivery> delivery;
  std::size_t asked = 0;  // how often a watch was asked for it

 private:
  class ScriptedWatch final : public store::Watch {
   public:
    explicit ScriptedWatch(ScriptedEngine& engine) : engine_(engine) {}
    store::Delivery next(std::size_t) override {
      ++engine_.asked;
      return *engine_.delivery;
    }
    void taken() override {}
    std::size_t take_looked_at() override { return 0; }
    std::optional<store::WatchPlace> place() const override { return std::nullopt; }

   private:
    ScriptedEngine& engine_;
  };
  class ScriptedTicket final : public store::Ticket {
   public:
    explicit ScriptedTicket(std::shared_ptr<Submitted> submitted) : submitted_(std::move(submitted)) {}
    ~ScriptedTicket() override { submitted_->dropped = true; }

   private:
    const std::shared_ptr<Submitted> submitted_;
  };
};

}  // namespace hostcall::daemon::test
