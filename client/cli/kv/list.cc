// kv list: the keys below a prefix.
#include "client/cli/kv/store_text.h"
#include "client/cli/kv/verbs.h"
#include "client/cli/output.h"
#include "client/cli/text.h"
#include "hostcall/v1/store.hostcall.h"

namespace hostcall::cli::kv {

const char kListHelp[] = R"(Lists the keys below a prefix that ends in "/", or one key, sorted by name, with
the sizes of their values, the revisions of their last changes, their versions and
lifetimes. Policy must allow the prefix itself; keys below it that policy denies are
left out. If there is none, prints none, and exits with 0.

With -q, prints only the keys, one a line, for other commands: as they are in a pipe
or a file, escaped on a terminal. With --json, prints one document, with values in
base64. If --limit leaves keys out, a line on standard error says so, or with --json
a "continuation" that is not empty; --after the last key goes on.
)";

namespace {

class List : public Verb {
 public:
  explicit List(Keys keys) : keys_(std::move(keys)) {}
  void declare(Arguments& arguments) override {
    arguments.positional("PREFIX", prefix_, "Below what, with \"/\" at its end; or a key.");
    keys_->declare(arguments);
    arguments.option("-n,--limit", "N", limit_, {1, UINT32_MAX}, "At most so many.");
    arguments.option("--after", "KEY", after_, "Begin after this key, named as PREFIX is.");
    arguments.not_empty();
    arguments.flag("--keys-only", keys_only_, "Leave out the values, or without --json their sizes.");
  }
  ExitCode run(Invocation& invocation) override {
    v1::ListRequest request;
    request.set_prefix(keys_->full(prefix_));
    request.set_keys_only(keys_only_ || invocation.quiet());
    if (after_) request.set_continuation(keys_->full(*after_));
    keys_->check(invocation);
    const auto all = pages(invocation, request);
    invocation.show(all, invocation.quiet() ? keys_of(all) : to_text(all));
    if (!all.continuation().empty() && !invocation.json() && !invocation.quiet())
      complain(invocation.program(), "note: there are more keys; --after the last one shows them");
    return ExitCode::kDone;
  }

 private:
  v1::ListResponse pages(Invocation& invocation, v1::ListRequest request) const {
    v1::ListResponse all;
    do {
      if (limit_) request.set_limit(static_cast<std::uint32_t>(*limit_ - static_cast<std::uint64_t>(all.items_size())));
      auto page = invocation.read<v1::Store::List>(request);
      request.set_continuation(page.continuation());
      all.set_revision(page.revision());
      for (auto& item : *page.mutable_items()) *all.add_items() = std::move(item);
    } while (!request.continuation().empty() && (!limit_ || static_cast<std::uint64_t>(all.items_size()) < *limit_));
    all.set_continuation(request.continuation());
    return all;
  }
  static std::string keys_of(const v1::ListResponse& all) {
    std::string text;
    for (const auto& item : all.items()) text += shown(item.key()) + "\n";
    return text;
  }
  std::string to_text(const v1::ListResponse& all) const {
    auto table = keys_only_ ? Table({"KEY", ">REVISION", ">VERSION", "LIFETIME"})
                            : Table({"KEY", ">SIZE", ">REVISION", ">VERSION", "LIFETIME"});
    for (const auto& item : all.items()) {
      std::vector<std::string> row{printable(item.key())};
      if (!keys_only_) row.push_back(format_bytes(item.value().size()));
      row.insert(row.end(),
                 {std::to_string(item.mod_revision()), std::to_string(item.version()), lifetime_name(item.lifetime())});
      table.add(std::move(row));
    }
    return table.to_string();
  }

  Keys keys_;
  std::string prefix_;
  std::optional<std::string> after_;
  std::optional<std::uint64_t> limit_;
  bool keys_only_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_list(Keys keys) { return std::make_unique<List>(std::move(keys)); }

}  // namespace hostcall::cli::kv
