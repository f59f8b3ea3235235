// hostcallctl events: what hostcalld has recorded lately, and what it records now.
#include <pwd.h>

#include <algorithm>

#include "client/cli/duration.h"
#include "client/cli/output.h"
#include "client/cli/text.h"
#include "client/hostcallctl/event_follower.h"
#include "client/hostcallctl/host_verbs.h"
#include "proto/base/escape.h"

namespace hostcall::cli::host {
namespace {

constexpr char kHelp[] = R"(Prints what hostcalld has recorded lately, oldest first: connections, refusals,
denials, limits that were reached, calls that policy records, changes of VMs and
policy, restarts, and what administrators did, with uid and user. The journal has
the same records for as long as it keeps them, except plain connections.

hostcalld keeps some 1,000 of each sort in memory; a restart begins anew. With -f,
goes on with those that come, until Ctrl-C, --count or a --timeout that was given,
also when hostcalld restarts. Who reads too slowly is told how many were lost.

Kinds: started, stopping, reloaded, reload-failed, policy-warning, vm-added,
vm-removed, vm-changed, admin, connected, disconnected, refused, denied, called,
limit, violation, peer-lost, records-lost, store-full, store-recovered,
store-failed, system-error.

With --json, one line for each event. With -q, prints nothing, which is for --count.
)";

constexpr char kExamples[] = R"(  hostcallctl events -f --vm web1
  hostcallctl events --kind admin --kind denied
  hostcallctl events --json | jq -r 'select(.kind == "denied") | .vm'
)";

constexpr std::size_t kKindWidth = 14;

// The daemon knows only the names of local users.
void name_user(v1::HostEvent& event) {
  if ((event.kind() != "admin" && event.vm() != "@admin") || !event.user().empty()) return;
  if (const auto* user = ::getpwuid(event.uid()); user != nullptr) event.set_user(user->pw_name);
}

// "2026-07-30 12:34:56.789 UTC  denied         VM "web1": …". The daemon has escaped the text.
std::string line_of(const v1::HostEvent& event) {
  auto kind = printable(event.kind());
  kind.resize(std::max(kind.size(), kKindWidth), ' ');
  return format_time(event.unix_nano()) + "  " + kind + " " + escape_message(event.text());
}

class Events : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.flag("-f,--follow", follow_, "Go on with the events that come.");
    arguments.flag("--new", only_new_, "Only events that come from now on; with -f.");
    arguments.option("--vm", "NAME", vm_, "Only those about this VM, or of @admin.");
    arguments.not_empty();
    arguments.option("--kind", "KIND", kinds_, "Only those of this kind; may be repeated.");
    arguments.option("-n,--count", "N", count_, {1, UINT64_MAX}, "End after so many events.");
  }
  ExitCode run(Invocation& invocation) override {
    if (only_new_ && !follow_) throw usage("--new is only for --follow: without it, all events are old");
    if (follow_) invocation.last();
    v1::EventsRequest request;
    request.set_follow(follow_);
    request.set_only_new(only_new_);
    request.set_vm(vm_);
    for (const auto& kind : kinds_) request.add_kinds(kind);
    EventFollower follower(invocation, request);
    while (!is_enough()) {
      const auto* message = follower.next();
      if (message == nullptr) break;
      show(invocation, *message);
    }
    return ExitCode::kDone;
  }

 private:
  bool is_enough() const { return count_ && seen_ >= *count_; }
  void show(const Invocation& invocation, const v1::EventsResponse& message) {
    if (message.lost() != 0 || message.lost_before()) tell_lost(invocation, message);
    for (auto event : message.events()) {
      if (is_enough()) return;
      ++seen_;
      name_user(event);
      if (invocation.json())
        print_line(json_of(event));
      else if (!invocation.quiet())
        print_line(line_of(event));
    }
  }
  static void tell_lost(const Invocation& invocation, const v1::EventsResponse& message) {
    const auto what = message.lost() != 0 ? count(message.lost(), "event") + " of all kinds" : "some events";
    complain(invocation.program(), what + " came too fast to be read, and are lost here; the journal has them");
  }

  std::string vm_;
  std::vector<std::string> kinds_;
  std::optional<std::uint64_t> count_;
  std::uint64_t seen_ = 0;
  bool follow_ = false;
  bool only_new_ = false;
};

}  // namespace

const VerbEntry kEvents{"events", "show what hostcalld has recorded lately", kHelp, kExamples,
                        []() -> std::unique_ptr<Verb> { return std::make_unique<Events>(); }};

}  // namespace hostcall::cli::host
