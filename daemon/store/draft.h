// Draft: changes on top of a State that are not committed yet.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/store/record.h"
#include "daemon/store/state.h"

namespace hostcall::daemon::store {

class Draft final : public State {
 public:
  // A fresh one. `under` must outlive it, and not change meanwhile. No constructor: with a Draft it would be the copy.
  static Draft on(const State& under) { return Draft(&under); }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  Ref find(std::string_view key) const override;
  Usage usage(const std::string& owner) const override;
  // Of the state under it, raised by the drafts that were absorbed.
  Revision revision() const override { return revision_; }

  // Adds a change: `now` may be a tombstone, `previous` is what find() gives.
  void change(Ref now, Ref previous);
  // Takes the changes of a draft that was made on this one. If it has any, this revision becomes theirs.
  void absorb(const Draft& above);

  // In the order in which they were made.
  const std::vector<Event>& events() const { return events_; }

 private:
  explicit Draft(const State* under) : under_(*under), revision_(under->revision()) {}
  const State& under_;
  Revision revision_;
  std::vector<Event> events_;
  Index changed_;  // the latest change of each key, tombstones too
  std::map<std::string, Usage> usage_;
};

}  // namespace hostcall::daemon::store
