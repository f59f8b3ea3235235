// kv get: the value of a key, or with --wait its first one.
#include "client/cli/kv/follower.h"
#include "client/cli/kv/store_text.h"
#include "client/cli/kv/verbs.h"
#include "client/cli/output.h"
#include "proto/base/escape.h"

namespace hostcall::cli::kv {

const char kGetHelp[] = R"(Prints the value of a key as it is, byte for byte. On a terminal, what would
drive the terminal or can not be seen is shown as \xNN and a backslash as \\;
--raw prints it there, too. Exits with 1 if there is no such key; with --wait it waits, until --timeout, for somebody to write it. With
--json, the key's revisions as well, and the value in base64. With -q, nothing:
the exit code tells.
)";

namespace {

class Get : public Verb {
 public:
  explicit Get(Keys keys) : keys_(std::move(keys)) {}
  void declare(Arguments& arguments) override {
    arguments.positional("KEY", key_, "Which key.");
    keys_->declare(arguments);
    arguments.flag("--raw", raw_, "Print the value as it is also on a terminal, which it may drive.");
  }
  ExitCode run(Invocation& invocation) override {
    v1::GetRequest request;
    request.set_key(keys_->full(key_));
    keys_->check(invocation);
    const auto found =
        invocation.common().wait ? wait_for_key(invocation, request.key()) : invocation.read<v1::Store::Get>(request);
    if (!found.has_item()) throw no_such_key(request.key());
    if (prints(invocation)) invocation.show(found, text_of(found.item().value()));
    return ExitCode::kDone;
  }

 private:
  static bool prints(const Invocation& invocation) { return invocation.json() || !invocation.quiet(); }
  std::string text_of(const std::string& value) const {
    return prints_to_terminal() && !raw_ ? escape_lines(value) : value;
  }
  static v1::GetResponse wait_for_key(Invocation& invocation, const std::string& key) {
    v1::WatchRequest request;
    request.set_prefix(key);
    request.set_snapshot(true);
    Follower follower(invocation, request, prints(invocation), true);
    v1::GetResponse found;
    while (!found.has_item()) {
      const auto& message = follower.next();
      for (const auto& item : message.snapshot()) *found.mutable_item() = item;
      for (const auto& event : message.events())
        if (event.kind() == v1::Event::KIND_PUT) *found.mutable_item() = event.item();
      found.set_revision(message.revision());
    }
    return found;
  }

  Keys keys_;
  std::string key_;
  bool raw_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_get(Keys keys) { return std::make_unique<Get>(std::move(keys)); }

}  // namespace hostcall::cli::kv
