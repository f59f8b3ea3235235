// kv watch: changes as they come.
#include "client/cli/kv/event_command.h"
#include "client/cli/kv/follower.h"
#include "client/cli/kv/store_text.h"
#include "client/cli/kv/verbs.h"
#include "client/cli/output.h"

namespace hostcall::cli::kv {

const char kWatchHelp[] = R"(Prints the changes of the keys below a prefix that ends in "/", or of one key, as
they come, until Ctrl-C, --count or a --timeout that was given, or until nobody reads the output. When the
connection breaks or the host restarts, the watch goes on where it was, and misses nothing.
Policy must allow the prefix itself; keys below it that policy denies are left out.

Each line has revision, put or delete, key and size. With --json, each message of
the host as one line: all changes of one revision together, values in base64. With
--exec, without --json, a command for each change instead: the value is its standard
input, $HOSTCALL_KIND, $HOSTCALL_KEY and $HOSTCALL_REVISION tell the rest. Ctrl-C,
SIGTERM, SIGHUP and the deadline end the running command, too, with all of its process group.
With -q, nothing is printed, which is for --count.

Exits with 1 if the changes since --from-revision are not kept any more, with 124 at
the --timeout, and with 125 if a command of --exec fails, which ends the watch.
)";

namespace {

constexpr std::uint32_t kProgressMs = 30'000;

class Watch : public Verb {
 public:
  explicit Watch(Keys keys) : keys_(std::move(keys)) {}
  void declare(Arguments& arguments) override {
    arguments.positional("PREFIX", prefix_, "Which keys; \"/self/a\" is this one key.");
    keys_->declare(arguments);
    arguments.flag("--snapshot", snapshot_, "What is there now comes first, as if it were written now.");
    arguments.option("--from-revision", "N", from_, {1, INT64_MAX}, "Begin with the changes of this revision.");
    arguments.flag("--previous", previous_, "With --json: what was replaced or deleted, as well.");
    arguments.option("-n,--count", "N", count_, {1, UINT64_MAX}, "End after so many changes.");
    arguments.option("--exec", "COMMAND", command_, "Run this with /bin/sh for each change.");
    arguments.not_empty();
  }
  ExitCode run(Invocation& invocation) override {
    if (snapshot_ && from_) throw usage("--snapshot and --from-revision are both given; begin with which?");
    if (command_ && invocation.json()) throw usage("--exec and --json are both given; a command gets no JSON");
    const auto watched = request();
    keys_->check(invocation);
    invocation.last();
    Follower follower(invocation, watched, command_ || invocation.json() || !invocation.quiet());
    while (!enough()) take(invocation, follower, follower.next());
    return ExitCode::kDone;
  }

 private:
  v1::WatchRequest request() const {
    v1::WatchRequest request;
    request.set_prefix(keys_->full(prefix_));
    request.set_snapshot(snapshot_);
    request.set_from_revision(static_cast<std::int64_t>(from_.value_or(0)));
    request.set_previous(previous_);
    request.set_progress_interval_ms(kProgressMs);
    return request;
  }
  bool enough() const { return count_ && seen_ >= *count_; }
  void take(const Invocation& invocation, Follower& follower, const v1::WatchResponse& message) {
    const bool progress = message.events().empty() && message.snapshot().empty() && !message.snapshot_complete();
    if (invocation.json()) {
      if (!progress) invocation.show(message, {});
      seen_ += static_cast<std::uint64_t>(message.events_size() + message.snapshot_size());
      return;
    }
    for (const auto& item : message.snapshot()) {
      v1::Event event;
      *event.mutable_item() = item;
      tell(invocation, follower, event);
    }
    for (const auto& event : message.events()) tell(invocation, follower, event);
  }
  void tell(const Invocation& invocation, Follower& follower, const v1::Event& event) {
    if (enough()) return;
    ++seen_;
    if (command_)
      run_event_command(*command_, event, follower);
    else if (!invocation.quiet())
      print_line(describe(event));
  }

  Keys keys_;
  std::string prefix_;
  std::optional<std::string> command_;
  std::optional<std::uint64_t> from_, count_;
  std::uint64_t seen_ = 0;
  bool snapshot_ = false;
  bool previous_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_watch(Keys keys) { return std::make_unique<Watch>(std::move(keys)); }

}  // namespace hostcall::cli::kv
