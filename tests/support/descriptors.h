// FileDescriptorSets, written field by field: most test programs have only the lite runtime of protobuf.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hostcall::test {

inline std::string varint(std::size_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  return bytes + static_cast<char>(value);
}
inline std::string delimited(int number, std::string_view bytes) {
  return varint(static_cast<std::size_t>(number << 3 | 2)) + varint(bytes.size()) + std::string(bytes);
}

struct DescribedMethod {
  std::string_view name;
  bool client_streams = false, server_streams = false;
};

// One file with one service.
inline std::string file_descriptor(std::string_view package, std::string_view service,
                                   const std::vector<DescribedMethod>& methods) {
  auto described = delimited(1, service);
  for (const auto& method : methods)
    described +=
        delimited(2, delimited(1, method.name) + delimited(2, ".a.Request") + delimited(3, ".a.Reply") +
                         (method.client_streams ? "\x28\x01" : "") + (method.server_streams ? "\x30\x01" : ""));
  return delimited(1, "file.proto") + (package.empty() ? "" : delimited(2, package)) + delimited(6, described) +
         delimited(12, "proto3");
}
inline std::string descriptor_set(const std::vector<std::string>& files) {
  std::string set;
  for (const auto& file : files) set += delimited(1, file);
  return set;
}

}  // namespace hostcall::test
