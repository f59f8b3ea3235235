// kv put: writes a key, from an argument, a file or standard input.
#include "client/cli/input.h"
#include "client/cli/kv/store_text.h"
#include "client/cli/kv/verbs.h"
#include "client/cli/text.h"
#include "hostcall/v1/store.hostcall.h"
#include "proto/wire/frame.h"

namespace hostcall::cli::kv {

const char kPutHelp[] = R"(Writes a key: VALUE, or the contents of --file, or for - all of standard input.
One of them must be given. When it returns, the value is on the host's disk. With
--if-revision the write happens only if the key's last change has this revision,
0: if there is no such key; otherwise nothing is written and the exit code is 1.

With an idempotency key, a repetition after an unknown outcome is not done twice.
With -q, nothing is printed.
)";

namespace {

class Put : public Verb {
 public:
  explicit Put(Keys keys) : keys_(std::move(keys)) {}
  void declare(Arguments& arguments) override {
    arguments.positional("KEY", key_, "Which key.");
    arguments.positional("VALUE", value_, "Its value; - reads standard input.");
    keys_->declare(arguments);
    arguments.option("-f,--file", "FILE", file_, "Its value is what the file holds.");
    arguments.not_empty();
    arguments.option("--lifetime", "NAME", lifetime_,
                     std::string("When the key goes by itself. persistent (default): never; ") +
                         (keys_->has_boots() ? "boot: when this VM boots again; " : "") +
                         "session: when the connection that wrote it ends, at once for a command line.");
    arguments.option("--if-revision", "N", if_revision_, {0, INT64_MAX}, "Only if this was its last change.");
    arguments.option("--idempotency-key", "TEXT", idempotency_key_, "Names this write; at most 64 bytes.");
    arguments.not_empty();
    arguments.flag("--previous", previous_, "With --json: what was replaced, as well.");
  }
  ExitCode run(Invocation& invocation) override {
    v1::PutRequest request;
    request.set_key(keys_->full(key_));
    request.set_lifetime(parse_lifetime(lifetime_, *keys_));
    if (request.lifetime() == v1::LIFETIME_SESSION) warn_of_session_lifetime(invocation, *keys_);
    request.set_previous(previous_);
    request.set_value(read_value(invocation));
    keys_->check(invocation);
    if (if_revision_) return put_if(invocation, std::move(request));
    request.set_idempotency_key(idempotency_key_);
    return tell(invocation, invocation.call<v1::Store::Put>(request));
  }

 private:
  std::string read_value(const Invocation& invocation) const {
    if (file_ && value_) throw usage("VALUE and --file are both given; which one is the value?");
    if (!file_ && !value_) throw usage("VALUE is missing; give it, or - to read standard input, or --file FILE");
    if (value_ && *value_ != "-") return *value_;
    auto input = file_ ? Input::file(*file_) : Input::standard_input();
    return input.all(wire::kMaxDataBytes, invocation.deadline());
  }
  ExitCode put_if(Invocation& invocation, v1::PutRequest put) const {
    v1::TxnRequest request;
    auto& compare = *request.add_compare();
    compare.set_key(put.key());
    compare.set_mod_revision(static_cast<std::int64_t>(*if_revision_));
    *request.add_then()->mutable_put() = std::move(put);
    request.add_else_()->mutable_get()->set_key(compare.key());
    request.set_idempotency_key(idempotency_key_);
    const auto done = invocation.call<v1::Store::Txn>(request);
    if (done.succeeded() && done.results_size() == 1) return tell(invocation, done.results(0).put());
    const auto& now = done.results_size() == 1 ? done.results(0).get() : v1::GetResponse();
    throw Failure{ExitCode::kNegative, printable(compare.key()) + " was not written: " + why_not(now)};
  }
  std::string why_not(const v1::GetResponse& now) const {
    if (!now.has_item()) return "there is no such key; --if-revision 0 writes one that is not there";
    const auto text = "its revision is " + std::to_string(now.item().mod_revision()) + ", not ";
    return text + std::to_string(*if_revision_) + (*if_revision_ == 0 ? ": there is such a key" : "");
  }
  static ExitCode tell(const Invocation& invocation, const v1::PutResponse& written) {
    invocation.confirm(written, "revision " + std::to_string(written.revision()) + "\n");
    return ExitCode::kDone;
  }

  Keys keys_;
  std::string key_, idempotency_key_;
  std::string lifetime_ = "persistent";
  std::optional<std::string> value_, file_;
  std::optional<std::uint64_t> if_revision_;
  bool previous_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_put(Keys keys) { return std::make_unique<Put>(std::move(keys)); }

}  // namespace hostcall::cli::kv
