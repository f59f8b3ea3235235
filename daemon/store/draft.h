// Draft: uncommitted changes on top of a State.
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
  // Makes an empty draft. `under` must outlive it, and must not change meanwhile. Not a constructor, which would be the
  // copy constructor if `under` were a Draft.
  static Draft on(const State& under) { return Draft(&under); }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  Ref find(std::string_view key) const override;
  Usage usage(const std::string& owner) const override;
  // The revision of the state under it, raised by the drafts that it has absorbed.
  Revision revision() const override { return revision_; }

  // Adds a change. `now` may be a tombstone; `previous` is what find() returned.
  void change(Ref now, Ref previous);
  // Takes over the changes of a draft made on top of this one. If there are any, this draft also adopts its revision.
  void absorb(const Draft& above);

  // In the order in which they were made.
  const std::vector<Event>& events() const { return events_; }

 private:
  explicit Draft(const State* under) : under_(*under), revision_(under->revision()) {}
  const State& under_;
  Revision revision_;
  std::vector<Event> events_;
  Index changed_;  // the latest change of each key, including tombstones
  std::map<std::string, Usage> usage_;
};

}  // namespace hostcall::daemon::store
