// Schema: services and messages that are known at run time only, and their JSON. The one user of protobuf's full
// runtime; nothing of it is set up before somebody asks for JSON or for a description.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor_database.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/util/type_resolver.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/result.h"

namespace hostcall::cli {

// kLine: one line. kPretty: indented, for people.
enum class JsonStyle { kLine, kPretty };

// Neither copied nor moved: descriptors point into it.
class Schema {
 public:
  // How many files a set may have: protobuf goes down a chain of imports by recursion.
  static constexpr int kMaxFiles = 2000;
  // Null: the bytes are no FileDescriptorSet, or it has more files.
  static std::unique_ptr<Schema> parse(std::string_view file_descriptor_set);
  // What this program was built with.
  static const Schema& built_in();
  Schema(const Schema&) = delete;
  Schema& operator=(const Schema&) = delete;

  // "package.Service/Method"; null: there is none. Valid as long as the schema.
  const google::protobuf::MethodDescriptor* find_method(std::string_view name) const;
  // "package.Service", with the same.
  const google::protobuf::ServiceDescriptor* find_service(std::string_view name) const;
  // Whether there is a service of this name that can't be found, because its file or an import is missing or wrong.
  bool is_broken(std::string_view service) const;
  // Full names, by file.
  std::vector<std::string> services() const;
  // "package.Service/Method", in the order of the service, which need not be there.
  std::vector<std::string> methods(std::string_view service) const;
  // What there is near a name that find_method() does not know: the methods of its service, else the services.
  std::vector<std::string> near(std::string_view name) const;

  // Protobuf's JSON with every field, also those at their default, so that keys are stable. Nothing: the bytes
  // are no message of that type.
  std::optional<std::string> to_json(std::string_view type, std::string_view bytes, JsonStyle style) const;
  // The message's bytes; the error says what is wrong with the JSON.
  Result<std::string> from_json(std::string_view type, std::string_view json) const;

 private:
  Schema();
  std::optional<std::string> canonical(std::string_view type, std::string_view bytes) const;

  mutable google::protobuf::SimpleDescriptorDatabase files_;  // its look-ups are not const
  google::protobuf::DescriptorPool pool_{&files_};
  mutable google::protobuf::DynamicMessageFactory messages_{&pool_};
  std::unique_ptr<google::protobuf::util::TypeResolver> types_;
};

}  // namespace hostcall::cli
