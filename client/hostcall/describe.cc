// hostcall describe: what a service of the host takes and returns, as .proto files.
#include <google/protobuf/descriptor.h>

#include <nlohmann/json.hpp>

#include "client/cli/output.h"
#include "client/cli/proto_text.h"
#include "client/cli/text.h"
#include "client/hostcall/description.h"
#include "client/hostcall/guest_verbs.h"
#include "client/hostcall/method_list.h"
#include "hostcall/v1/session.hostcall.h"
#include "proto/base/escape.h"

namespace hostcall::cli::guest {
namespace {

namespace pb = google::protobuf;

constexpr char kHelp[] = R"(Prints a service or one of its methods with all messages that it takes and
returns, as .proto files, each behind a comment with its name. Without an
argument, prints the names of the services that the host describes and this VM
may call. A service without descriptors on the host, "/*" in hostcall services,
needs --descriptors.

With -q, prints only the full names of the methods. With --json, prints for
each method the names of its messages, and whether they are streams; without an
argument the names of the services.
)";

constexpr char kExamples[] = R"(  hostcall describe
  hostcall describe hostcall.v1.Store
  hostcall describe hostcall.v1.Host/Info
  hostcall describe acme.v1.Inventory --descriptors inventory.pb
)";

std::string line_of(const nlohmann::ordered_json& json) {
  return escape_json(json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)) + "\n";
}

// What the user has asked for.
struct Chosen {
  const pb::ServiceDescriptor& service;
  const pb::MethodDescriptor* only;  // null: all methods

  std::vector<const pb::MethodDescriptor*> methods() const {
    if (only != nullptr) return {only};
    std::vector<const pb::MethodDescriptor*> all;
    for (int i = 0; i < service.method_count(); ++i) all.push_back(service.method(i));
    return all;
  }
};

std::string json_of(const Chosen& chosen) {
  auto methods = nlohmann::ordered_json::array();
  for (const auto* method : chosen.methods())
    methods.push_back({{"name", method->name()},
                       {"request", method->input_type()->full_name()},
                       {"reply", method->output_type()->full_name()},
                       {"clientStreaming", method->client_streaming()},
                       {"serverStreaming", method->server_streaming()}});
  return line_of({{"service", chosen.service.full_name()}, {"methods", methods}});
}

std::string names_of(const Chosen& chosen) {
  std::string names;
  for (const auto* method : chosen.methods()) names += chosen.service.full_name() + "/" + method->name() + "\n";
  return names;
}

std::string lines_of(const std::vector<std::string>& names) {
  std::string lines;
  for (const auto& name : names) lines += shown(name) + "\n";
  return lines;
}

class Describe : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("SERVICE[/METHOD]", name_, "Full name, for example hostcall.v1.Host/Info.");
    arguments.option("--descriptors", "FILE", descriptors_, kDescriptorsHelp);
  }
  ExitCode run(Invocation& invocation) override {
    print(name_ ? text_of_one(invocation) : text_of_all(invocation));
    return ExitCode::kDone;
  }

 private:
  std::string text_of_one(Invocation& invocation) const {
    const auto slash = name_->find('/');
    const auto service = name_->substr(0, slash);
    const auto description = Description::of(invocation, descriptors_, service);
    const auto* only = slash == std::string::npos ? nullptr : &description.method(*name_);
    const Chosen chosen{description.service(service), only};
    if (invocation.json()) return json_of(chosen);
    return invocation.quiet() ? names_of(chosen) : proto_text(chosen.service, chosen.only);
  }
  std::string text_of_all(Invocation& invocation) const {
    const auto methods = all_methods(invocation);
    if (invocation.json()) return line_of({{"services", methods.services()}});
    return lines_of(invocation.quiet() ? methods.names() : methods.services());
  }
  MethodList all_methods(Invocation& invocation) const {
    if (!descriptors_) return MethodList(invocation.read<v1::Session::ListServices>()).described();
    const auto description = Description::of_file(invocation, *descriptors_);
    std::vector<std::string> names;
    for (const auto& service : description.schema().services())
      for (auto& method : description.schema().methods(service)) names.push_back(std::move(method));
    return MethodList(std::move(names));
  }

  std::optional<std::string> name_, descriptors_;
};

}  // namespace

const VerbEntry kDescribe{"describe", "print what a service takes and returns", kHelp, kExamples,
                          []() -> std::unique_ptr<Verb> { return std::make_unique<Describe>(); }};

}  // namespace hostcall::cli::guest
