// kv delete: deletes a key.
#include "client/cli/kv/store_text.h"
#include "client/cli/kv/verbs.h"
#include "hostcall/v1/store.hostcall.h"

namespace hostcall::cli::kv {

const char kDeleteHelp[] = R"(Deletes a key. Exits with 1 if there is no such key. With -q, nothing is printed.
)";

namespace {

class Delete : public Verb {
 public:
  explicit Delete(Keys keys) : keys_(std::move(keys)) {}
  void declare(Arguments& arguments) override {
    arguments.positional("KEY", key_, "Which key.");
    keys_->declare(arguments);
    arguments.option("--idempotency-key", "TEXT", idempotency_key_, "Names this deletion; at most 64 bytes.");
    arguments.not_empty();
    arguments.flag("--previous", previous_, "With --json: what was deleted, as well.");
  }
  ExitCode run(Invocation& invocation) override {
    v1::DeleteRequest request;
    request.set_key(keys_->full(key_));
    request.set_idempotency_key(idempotency_key_);
    request.set_previous(previous_);
    keys_->check(invocation);
    const auto done = invocation.call<v1::Store::Delete>(request);
    if (!done.deleted()) throw no_such_key(request.key());
    invocation.confirm(done, "deleted at revision " + std::to_string(done.revision()) + "\n");
    return ExitCode::kDone;
  }

 private:
  Keys keys_;
  std::string key_, idempotency_key_;
  bool previous_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_delete(Keys keys) { return std::make_unique<Delete>(std::move(keys)); }

}  // namespace hostcall::cli::kv
