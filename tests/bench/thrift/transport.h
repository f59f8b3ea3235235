// What both ends of Thrift set.
#pragma once

#include <thrift/TConfiguration.h>
#include <thrift/transport/TBufferTransports.h>

#include <limits>
#include <memory>

namespace hostcall::bench {

// Its own default is 512 bytes, and larger messages then take three writes.
inline constexpr std::uint32_t kBuffer = 64 * 1024;

// Thrift 0.17 counts all that a connection reads against the limit of one message.
inline std::shared_ptr<apache::thrift::transport::TTransport> make_transport(
    std::shared_ptr<apache::thrift::transport::TTransport> socket) {
  return std::make_shared<apache::thrift::transport::TBufferedTransport>(
      std::move(socket), kBuffer, std::make_shared<apache::thrift::TConfiguration>(std::numeric_limits<int>::max()));
}

}  // namespace hostcall::bench
