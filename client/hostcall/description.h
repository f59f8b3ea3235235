// Description: the services and messages that a verb knows by their descriptors only: from a file of the user, else as
// the host describes them.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "client/cli/invocation.h"
#include "client/cli/schema.h"

namespace hostcall::cli::guest {

// Of the option --descriptors.
inline constexpr char kDescriptorsHelp[] =
    "Take the descriptors from this file, a FileDescriptorSet with all imports of at most 1 MiB, not from the host.";

class Description {
 public:
  // Of the file, a FileDescriptorSet. Throws Failure: also when it is none, or is not read before the deadline.
  static Description of_file(const Invocation& invocation, const std::string& path);
  // Asks the host about the service. Throws Failure: also when the host has no descriptors for it.
  static Description of_host(Invocation& invocation, const std::string& service);
  // Of the file if there is one, else of the host.
  static Description of(Invocation& invocation, const std::optional<std::string>& file, const std::string& service);

  // All valid as long as this object.
  const Schema& schema() const { return *schema_; }
  // "package.Service". Throws Failure: there is none.
  const google::protobuf::ServiceDescriptor& service(const std::string& name) const;
  // "package.Service/Method", with the same.
  const google::protobuf::MethodDescriptor& method(const std::string& name) const;

 private:
  Description(std::string source, std::unique_ptr<Schema> schema);
  // The services that this program was built with.
  Description() : source_("this program"), schema_(&Schema::built_in()) {}
  Failure none_such(const std::string& what, const std::string& name) const;

  std::string source_;  // for messages: "the host", or the name of the file
  std::unique_ptr<Schema> own_;
  const Schema* schema_;
};

}  // namespace hostcall::cli::guest
