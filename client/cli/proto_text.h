// Proto text: a service as .proto files, for people: the service itself, and every message and enum that it uses.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>

namespace hostcall::cli {

// Each file begins with a comment that is its name: that of the service first, the others as they come to be used. A
// file has the service, and the types in the order of use, each once, a nested one within its own. protoc takes the
// files if each is put under its name. `only`: the one method to show; null: all of them. Fit for a terminal.
std::string proto_text(const google::protobuf::ServiceDescriptor& service,
                       const google::protobuf::MethodDescriptor* only = nullptr);

}  // namespace hostcall::cli
