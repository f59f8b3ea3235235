// ServiceDescriptors: what a routed service looks like, from its FileDescriptorSet (protoc --descriptor_set_out
// --include_imports).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "proto/base/result.h"

namespace hostcall::daemon {

// A caller gets the set in one message.
inline constexpr std::size_t kMaxDescriptorBytes = 512 * 1024;

struct MethodShape {
  bool client_streams = false, server_streams = false;
};

struct ServiceDescriptors {
  std::string set;                                          // the FileDescriptorSet, serialised
  std::map<std::string, MethodShape, std::less<>> methods;  // of the service, by name
};

// Finds the service in a set. Fails for bytes that are no set, a set without the service, and one that describes
// something of hostcall itself.
Result<ServiceDescriptors> find_service(std::string set, std::string_view service);
// The same for the set in a file, of at most kMaxDescriptorBytes, that nobody else can change.
Result<ServiceDescriptors> read_descriptors(const std::string& path, std::string_view service);

}  // namespace hostcall::daemon
