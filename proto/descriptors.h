// The descriptor set of our .proto files, built into the program.
#pragma once

#include <string_view>

namespace hostcall {

// A serialised google.protobuf.FileDescriptorSet with all imports. Valid for the life of the program.
std::string_view descriptor_set();

}  // namespace hostcall
