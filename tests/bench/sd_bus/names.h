// What the two ends of sd-bus call each other: a direct connection, without a bus daemon.
#pragma once

#include <systemd/sd-bus.h>

#include <memory>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace hostcall::bench {

inline constexpr char kPath[] = "/bench";
inline constexpr char kInterface[] = "bench.Echo";

struct Free {
  void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
  void operator()(sd_event* event) const { sd_event_unref(event); }
};
template <class T>
using Handle = std::unique_ptr<T, Free>;

// The result of an sd-bus function. Throws for an error.
inline int check_bus(int code, const char* what) {
  if (code < 0) throw std::system_error(-code, std::generic_category(), what);
  return code;
}

inline std::string_view bytes_of(sd_bus_message* message) {
  const void* data = nullptr;
  std::size_t size = 0;
  check_bus(sd_bus_message_read_array(message, 'y', &data, &size), "read");
  return {static_cast<const char*>(data), size};
}

}  // namespace hostcall::bench
