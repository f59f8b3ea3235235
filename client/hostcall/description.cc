// Description: see description.h.
#include "client/hostcall/description.h"

#include "client/cli/input.h"
#include "client/cli/text.h"
#include "client/hostcall/method_list.h"
#include "hostcall/v1/session.hostcall.h"

namespace hostcall::cli::guest {
namespace {

constexpr std::size_t kMaxFileBytes = 1024 * 1024;

constexpr char kHowToMake[] = "protoc --include_imports --descriptor_set_out=FILE makes one that is whole";

// Says who can help where the host does not describe a service.
Failure undescribed(Invocation& invocation, const std::string& service, const Status& status) {
  constexpr char kOrFile[] = ", or give --descriptors FILE";
  auto failure = failure_of(of_read(status));
  if (status.code != Code::kNotFound) return {failure.code, failure.text + kOrFile};
  failure.code = ExitCode::kNoSuchMethod;
  const auto list = invocation.reply_of<v1::Session::ListServices>();
  const auto methods = list.ok() ? MethodList(*list) : MethodList();
  if (methods.lacks_descriptors(service))
    failure.text +=
        "; calls with JSON and descriptions need them: ask the host's administrator for them" + std::string(kOrFile);
  else if (const auto services = methods.services(); !services.empty())
    failure.text += "; this VM may call " + join(services, ", ");
  return failure;
}

}  // namespace

Description::Description(std::string source, std::unique_ptr<Schema> schema)
    : source_(std::move(source)), own_(std::move(schema)), schema_(own_.get()) {}

Description Description::of_file(const Invocation& invocation, const std::string& path) {
  auto file = Input::file(path);
  auto schema = Schema::parse(file.all(kMaxFileBytes, invocation.deadline()));
  if (!schema)
    throw usage(file.name() + " is not a FileDescriptorSet of at most " + std::to_string(Schema::kMaxFiles) +
                " files; " + kHowToMake);
  if (schema->services().empty())
    throw usage(file.name() + " describes no service, or none with all its imports; " + kHowToMake);
  return {file.name(), std::move(schema)};
}

// A host that describes nothing, or denies it to this VM, may still serve the services that this program was built
// with.
Description Description::of_host(Invocation& invocation, const std::string& service) {
  v1::DescriptorsRequest request;
  request.set_service(service);
  const auto reply = invocation.reply_of<v1::Session::Descriptors>(request);
  if (reply.ok()) {
    auto schema = Schema::parse(reply->file_descriptor_set());
    if (!schema) throw Failure{ExitCode::kUnreachable, "the host's description of its services is malformed"};
    return {"the host", std::move(schema)};
  }
  const auto code = exit_code_of(reply.status().code);
  const bool refused = code == ExitCode::kDenied || code == ExitCode::kNoSuchMethod;
  if (refused && Schema::built_in().find_service(service) != nullptr) return {};
  // A host that takes no connection would not take the call either.
  const bool advises = reply.status().code == Code::kNotFound || (refused && invocation.client().session());
  if (advises) throw undescribed(invocation, service, reply.status());
  throw failure_of(of_read(reply.status()));
}

Description Description::of(Invocation& invocation, const std::optional<std::string>& file,
                            const std::string& service) {
  return file ? of_file(invocation, *file) : of_host(invocation, service);
}

Failure Description::none_such(const std::string& what, const std::string& name) const {
  const auto service = name.substr(0, name.find('/'));
  if (schema_->is_broken(service))
    return {ExitCode::kNoSuchMethod,
            source_ + " describes " + printable(service) + " without its imports, or wrongly; " + kHowToMake};
  const auto near = schema_->near(name);
  return {ExitCode::kNoSuchMethod, source_ + " describes no " + what + " " + printable(name) + "; it has " +
                                       (near.empty() ? "none" : join(near, ", "))};
}

const google::protobuf::ServiceDescriptor& Description::service(const std::string& name) const {
  const auto* service = schema_->find_service(name);
  if (service == nullptr) throw none_such("service", name);
  return *service;
}

const google::protobuf::MethodDescriptor& Description::method(const std::string& name) const {
  const auto* method = schema_->find_method(name);
  if (method == nullptr) throw none_such("method", name);
  return *method;
}

}  // namespace hostcall::cli::guest
