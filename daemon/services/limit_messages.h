// Converts a VM's limits to messages, for Session and Admin.
#pragma once

#include <google/protobuf/repeated_field.h>

#include "daemon/vms/limits_left.h"
#include "hostcall/v1/session.pb.h"

namespace hostcall::daemon {

inline void fill_limits(const std::vector<LimitLeft>& limits, google::protobuf::RepeatedPtrField<v1::Limit>& messages) {
  for (const auto& limit : limits) {
    auto& message = *messages.Add();
    message.set_name(std::string(limit.info.name));
    message.set_unit(std::string(limit.info.unit));
    message.set_limit(limit.limit);
    message.set_left(limit.left);
  }
}

}  // namespace hostcall::daemon
