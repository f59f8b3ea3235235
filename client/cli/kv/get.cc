// kv get: the value of a key, or with --wait its first one.
#include "client/cli/kv/follower.h"
#include "client/cli/kv/store_text.h"
#include "client/cli/kv/verbs.h"
#include "client/cli/output.h"

namespace hostcall::cli::kv {

const char kGetHelp[] = R"(Prints the value of a key as it is, byte for byte. Exits with 1 if there is no
such key; with --wait it waits, until --timeout, for somebody to write it. With
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
  }
  ExitCode run(Invocation& invocation) override {
    v1::GetRequest request;
    request.set_key(keys_->full(key_));
    const auto found =
        invocation.common().wait ? wait_for_key(invocation, request.key()) : invocation.call<v1::Store::Get>(request);
    if (!found.has_item()) throw no_such_key(request.key());
    invocation.confirm(found, found.item().value());
    return ExitCode::kDone;
  }

 private:
  static v1::GetResponse wait_for_key(Invocation& invocation, const std::string& key) {
    v1::WatchRequest request;
    request.set_prefix(key);
    request.set_snapshot(true);
    Follower follower(invocation, request);
    v1::GetResponse found;
    while (auto* message = follower.next()) {
      for (const auto& item : message->snapshot()) *found.mutable_item() = item;
      for (const auto& event : message->events())
        if (event.kind() == v1::Event::KIND_PUT) *found.mutable_item() = event.item();
      found.set_revision(message->revision());
      if (found.has_item()) break;
    }
    return found;
  }

  Keys keys_;
  std::string key_;
};

}  // namespace

std::unique_ptr<Verb> make_get(Keys keys) { return std::make_unique<Get>(std::move(keys)); }

}  // namespace hostcall::cli::kv
