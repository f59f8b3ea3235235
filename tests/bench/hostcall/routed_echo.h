// The one method of the server to which hostcalld routes calls: Diagnostics/Echo's messages under a name of its own.
#pragma once

#include "hostcall/v1/diagnostics.pb.h"

namespace hostcall::bench {

// In the form of generated code.
struct RoutedEcho {
  using Request = v1::EchoRequest;
  using Response = v1::EchoResponse;
  static constexpr char kService[] = "bench.v1.Routed";
  static constexpr char kMethod[] = "Echo";
  static constexpr char kFullName[] = "bench.v1.Routed/Echo";
  static constexpr bool kClientStreams = false;
  static constexpr bool kServerStreams = false;
};

}  // namespace hostcall::bench
