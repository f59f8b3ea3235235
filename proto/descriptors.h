// The descriptor set of our .proto files, as protoc wrote it, inside the program.
#pragma once

#include <string_view>

namespace hostcall {

// A serialised google.protobuf.FileDescriptorSet with all imports; lives as long as the program.
std::string_view descriptor_set();

}  // namespace hostcall
