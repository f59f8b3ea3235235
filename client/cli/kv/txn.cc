// kv txn: compares, then does one thing or the other, all or nothing.
#include <algorithm>

#include "client/cli/documents.h"
#include "client/cli/kv/store_text.h"
#include "client/cli/kv/verbs.h"
#include "client/cli/schema.h"
#include "hostcall/v1/store.hostcall.h"

namespace hostcall::cli::kv {

const char kTxnHelp[] = R"(Does a transaction: if all comparisons hold, the operations of "then", else those
of "else", all at one revision or none. JSON is a hostcall.v1.TxnRequest, values in
base64; without it, and for -, standard input is read. Prints the answer as JSON, with -q nothing.
Exits with 1 if a comparison did not hold.
)";

namespace {

class Txn : public Verb {
 public:
  explicit Txn(Keys keys) : keys_(std::move(keys)) {}
  void declare(Arguments& arguments) override {
    arguments.positional("JSON", json_, "The transaction; - reads standard input.");
    keys_->declare(arguments);
  }
  ExitCode run(Invocation& invocation) override {
    auto request = read(invocation);
    name_in_full(request);
    keys_->check(invocation);
    if (has_session_lifetime(request)) warn_of_session_lifetime(invocation, *keys_);
    const auto done = invocation.call<v1::Store::Txn>(request);
    const auto style = invocation.json() ? JsonStyle::kLine : JsonStyle::kPretty;
    const auto text = Schema::built_in().to_json(done.GetTypeName(), done.SerializeAsString(), style);
    invocation.confirm(done, text.value_or("") + "\n");
    return done.succeeded() ? ExitCode::kDone : ExitCode::kNegative;
  }

 private:
  v1::TxnRequest read(const Invocation& invocation) const {
    auto document = Documents::of_argument(json_.value_or("-"));
    v1::TxnRequest request;
    const auto type = request.GetTypeName();
    const auto bytes = Schema::built_in().from_json(type, document.all(invocation.deadline()));
    if (!bytes.ok()) throw usage(document.name() + " is not a " + type + ": " + bytes.error().message());
    request.ParseFromString(bytes.value());
    return request;
  }
  static bool has_session_lifetime(const v1::TxnRequest& request) {
    const auto is_session = [](const v1::Operation& step) { return step.put().lifetime() == v1::LIFETIME_SESSION; };
    return std::ranges::any_of(request.then(), is_session) || std::ranges::any_of(request.else_(), is_session);
  }
  void name_in_full(v1::TxnRequest& request) const {
    for (auto& compare : *request.mutable_compare()) compare.set_key(keys_->full(compare.key()));
    for (auto* operations : {request.mutable_then(), request.mutable_else_()})
      for (auto& operation : *operations) {
        if (operation.has_get()) name_in_full(*operation.mutable_get());
        if (operation.has_put()) name_in_full(*operation.mutable_put());
        if (operation.has_delete_()) name_in_full(*operation.mutable_delete_());
      }
  }
  template <class Request>
  void name_in_full(Request& request) const {
    request.set_key(keys_->full(request.key()));
  }

  Keys keys_;
  std::optional<std::string> json_;
};

}  // namespace

std::unique_ptr<Verb> make_txn(Keys keys) { return std::make_unique<Txn>(std::move(keys)); }

}  // namespace hostcall::cli::kv
