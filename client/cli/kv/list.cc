// kv list: the keys below a prefix.
#include "client/cli/kv/store_text.h"
#include "client/cli/kv/verbs.h"
#include "client/cli/text.h"
#include "hostcall/v1/store.hostcall.h"

namespace hostcall::cli::kv {

const char kListHelp[] = R"(Lists the keys below a prefix that ends in "/", sorted, with the sizes of their
values, revisions of their last changes, versions and lifetimes. Keys that policy denies are left out.
With -q, the keys alone; with --json, all pages as one document, values in base64.
)";

namespace {

class List : public Verb {
 public:
  explicit List(Keys keys) : keys_(std::move(keys)) {}
  void declare(Arguments& arguments) override {
    arguments.positional("PREFIX", prefix_, "Below what; \"/self/a\" is this one key.");
    keys_->declare(arguments);
    arguments.option("-n,--limit", "N", limit_, {1, UINT32_MAX}, "At most so many.");
    arguments.flag("--keys-only", keys_only_, "With --json: leave the values out.");
  }
  ExitCode run(Invocation& invocation) override {
    v1::ListRequest request;
    request.set_prefix(keys_->full(prefix_));
    request.set_keys_only(keys_only_ || invocation.quiet());
    const auto all = pages(invocation, request);
    invocation.show(all, invocation.quiet() ? keys_of(all) : to_text(all));
    return ExitCode::kDone;
  }

 private:
  v1::ListResponse pages(Invocation& invocation, v1::ListRequest request) const {
    v1::ListResponse all;
    do {
      if (limit_) request.set_limit(static_cast<std::uint32_t>(*limit_ - static_cast<std::uint64_t>(all.items_size())));
      auto page = invocation.call<v1::Store::List>(request);
      request.set_continuation(page.continuation());
      all.set_revision(page.revision());
      for (auto& item : *page.mutable_items()) *all.add_items() = std::move(item);
    } while (!request.continuation().empty() && (!limit_ || static_cast<std::uint64_t>(all.items_size()) < *limit_));
    all.set_continuation(request.continuation());
    return all;
  }
  static std::string keys_of(const v1::ListResponse& all) {
    std::string text;
    for (const auto& item : all.items()) text += printable(item.key()) + "\n";
    return text;
  }
  static std::string to_text(const v1::ListResponse& all) {
    Table table({"KEY", ">SIZE", ">REVISION", ">VERSION", "LIFETIME"});
    for (const auto& item : all.items())
      table.add({item.key(), format_bytes(item.value().size()), std::to_string(item.mod_revision()),
                 std::to_string(item.version()), lifetime_name(item.lifetime())});
    return table.to_string();
  }

  Keys keys_;
  std::string prefix_;
  std::optional<std::uint64_t> limit_;
  bool keys_only_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_list(Keys keys) { return std::make_unique<List>(std::move(keys)); }

}  // namespace hostcall::cli::kv
