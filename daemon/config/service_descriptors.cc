#include "daemon/config/service_descriptors.h"

#include <utility>

#include "daemon/config/trusted_path.h"
#include "proto/base/escape.h"
#include "proto/base/read_file.h"
#include "proto/wire/fields.h"

namespace hostcall::daemon {
namespace {

using wire::FieldReader;
using wire::kLengthDelimited;
using wire::kVarint;

constexpr char kNoSet[] = "it is no FileDescriptorSet; make it with protoc --include_imports --descriptor_set_out=FILE";
constexpr std::string_view kOwnPackage = "hostcall";

// MethodDescriptorProto{name=1, client_streaming=5, server_streaming=6}
bool read_method(std::string_view data, ServiceDescriptors& found) {
  std::string_view name;
  MethodShape shape;
  FieldReader field(data);
  while (field.next()) {
    if (field.is(1, kLengthDelimited)) name = field.bytes();
    if (field.is(5, kVarint)) shape.client_streams = field.varint() != 0;
    if (field.is(6, kVarint)) shape.server_streams = field.varint() != 0;
  }
  found.methods.emplace(name, shape);
  return field.ok();
}

// ServiceDescriptorProto{name=1, method=2}. `wanted`: without the package.
bool read_service_of(std::string_view data, std::string_view wanted, ServiceDescriptors& found) {
  std::string_view name;
  FieldReader named(data);
  while (named.next())
    if (named.is(1, kLengthDelimited)) name = named.bytes();
  if (!named.ok() || name != wanted) return named.ok();
  FieldReader field(data);
  while (field.next())
    if (field.is(2, kLengthDelimited) && !read_method(field.bytes(), found)) return false;
  return field.ok();
}

// FileDescriptorProto{package=2}. False: malformed.
bool read_package(std::string_view data, std::string_view& package) {
  FieldReader field(data);
  while (field.next())
    if (field.is(2, kLengthDelimited)) package = field.bytes();
  return field.ok();
}

// FileDescriptorProto{service=6}
bool read_file(std::string_view data, std::string_view wanted, ServiceDescriptors& found) {
  FieldReader field(data);
  while (field.next())
    if (field.is(6, kLengthDelimited) && !read_service_of(field.bytes(), wanted, found)) return false;
  return field.ok();
}

bool is_own(std::string_view package) {
  return package == kOwnPackage || (package.starts_with(kOwnPackage) && package[kOwnPackage.size()] == '.');
}

}  // namespace

// FileDescriptorSet{file=1}
Result<ServiceDescriptors> find_service(std::string set, std::string_view service) {
  const auto dot = service.rfind('.');
  const auto wanted_package = dot == std::string_view::npos ? std::string_view() : service.substr(0, dot);
  const auto wanted = service.substr(dot == std::string_view::npos ? 0 : dot + 1);
  ServiceDescriptors found;
  FieldReader file(set);
  while (file.next()) {
    std::string_view package;
    if (!file.is(1, kLengthDelimited) || !read_package(file.bytes(), package)) return Error{0, kNoSet};
    if (is_own(package)) return Error{0, "it describes " + in_quotes(package) + ", which is hostcall's own package"};
    if (package == wanted_package && !read_file(file.bytes(), wanted, found)) return Error{0, kNoSet};
  }
  if (!file.ok()) return Error{0, kNoSet};
  if (found.methods.empty()) return Error{0, "it describes no service " + in_quotes(service) + " with a method"};
  found.set = std::move(set);
  return found;
}

Result<ServiceDescriptors> read_descriptors(const std::string& path, std::string_view service) {
  HOSTCALL_TRY(check_trusted(path));
  return find_service(HOSTCALL_TRY(hostcall::read_file(path, kMaxDescriptorBytes, FileKind::kRegular)), service)
      .within(path);
}

}  // namespace hostcall::daemon
