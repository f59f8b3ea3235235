// StoreList: one page of a List. What policy hides from the caller takes up no place in a page and is never named in
// it, so a page can take more than one turn.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "daemon/calls/call.h"
#include "daemon/loop/work.h"
#include "daemon/services/store_names.h"
#include "daemon/store/engine.h"
#include "hostcall/v1/store.pb.h"

namespace hostcall::daemon {

// Fills one page, in parts.
class ListPage {
 public:
  // `request` is checked; `prefix` and `after` are its prefix and continuation by the store's names. `list`: the
  // method, by whose rules keys are seen or hidden.
  ListPage(const store::Engine& engine, const CallContext& context, const Method& list, const v1::ListRequest& request,
           std::string prefix, std::string after);

  // Does the work of one turn at most. True: the page is complete.
  bool fill(v1::ListResponse& response);

 private:
  enum class Step : bool { kStop, kGoOn };
  Step look_at(const store::Record& record, v1::ListResponse& response);
  bool is_full(const store::Record& next, const v1::ListResponse& response) const;
  std::size_t size_of(const store::Record& record) const;

  const store::Engine& engine_;
  SessionFacts& session_;
  const StoreNames names_;
  const Method& list_;
  const std::string prefix_;
  const std::size_t most_items_;
  const bool keys_only_;
  const store::Revision revision_;  // of the first turn: the page has all that was there then and is there still
  std::string after_;               // the last key that was looked at
  std::size_t bytes_ = 0;
  std::size_t keys_left_ = 0;  // of this turn's work
  std::size_t rules_looked_at_ = 0;
  bool complete_ = false;
};

// Goes on with a page in the turns that follow, as the VM's share of them allows.
class StoreList final : public CallHandler, private Worker {
 public:
  StoreList(Work& work, Share& share, ListPage page) : work_(work), share_(share), page_(std::move(page)) {}

 private:
  void start() override { work_.wait(share_, *this); }
  void work() override;

  Work& work_;
  Share& share_;
  ListPage page_;
  v1::ListResponse response_;
};

}  // namespace hostcall::daemon
