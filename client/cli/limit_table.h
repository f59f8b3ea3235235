// Limits of a VM with what is left of them, as both command lines show them.
#pragma once

#include <string>

#include "hostcall/v1/session.pb.h"

namespace hostcall::cli {

std::string limit_table(const google::protobuf::RepeatedPtrField<v1::Limit>& limits);

}  // namespace hostcall::cli
