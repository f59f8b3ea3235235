// The sd-bus server: peer to peer, sd-event's loop. D-Bus has no streams: chunks are signals one way and calls without
// a reply the other.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <iostream>
#include <string>

#include "tests/bench/sd_bus/names.h"

namespace hostcall::bench {
namespace {

std::uint64_t taken = 0;

int on_call(sd_bus_message* message, void*, sd_bus_error*) noexcept {
  const auto data = bytes_of(message);
  sd_bus_message* reply = nullptr;
  check_bus(sd_bus_message_new_method_return(message, &reply), "reply");
  check_bus(sd_bus_message_append_array(reply, 'y', data.data(), data.size()), "reply");
  const int code = sd_bus_send(sd_bus_message_get_bus(message), reply, nullptr);
  sd_bus_message_unref(reply);
  return code;
}

int on_chunk(sd_bus_message* message, void*, sd_bus_error*) noexcept {
  taken += bytes_of(message).size();
  return 1;
}

int on_total(sd_bus_message* message, void*, sd_bus_error*) noexcept {
  const auto total = taken;
  taken = 0;
  return sd_bus_reply_method_return(message, "t", total);
}

// Each chunk is flushed: sd-bus would keep them all in memory.
int on_source(sd_bus_message* message, void*, sd_bus_error*) noexcept {
  std::uint64_t bytes = 0, size = 0;
  check_bus(sd_bus_message_read(message, "tt", &bytes, &size), "read");
  std::string chunk(size, '\0');
  for (std::size_t i = 0; i < size; ++i) chunk[i] = static_cast<char>(i);
  auto* bus = sd_bus_message_get_bus(message);
  for (std::uint64_t sent = 0; sent < bytes; sent += size) {
    sd_bus_message* signal = nullptr;
    check_bus(sd_bus_message_new_signal(bus, &signal, kPath, kInterface, "Chunk"), "signal");
    check_bus(sd_bus_message_append_array(signal, 'y', chunk.data(), chunk.size()), "signal");
    check_bus(sd_bus_send(bus, signal, nullptr), "send");
    sd_bus_message_unref(signal);
    check_bus(sd_bus_flush(bus), "flush");
  }
  return sd_bus_reply_method_return(message, "t", bytes);
}

const sd_bus_vtable kMethods[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Call", "ay", "ay", on_call, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Chunk", "ay", "", on_chunk, SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_METHOD_NO_REPLY),
    SD_BUS_METHOD("Total", "", "t", on_total, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Source", "tt", "t", on_source, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END};

int on_disconnected(sd_bus_message* message, void*, sd_bus_error*) noexcept {
  auto* bus = sd_bus_message_get_bus(message);
  sd_bus_detach_event(bus);
  sd_bus_unref(bus);  // ours; the caller of this holds its own
  return 0;
}

void serve_connection(sd_event* event, int fd) {
  sd_bus* bus = nullptr;
  check_bus(sd_bus_new(&bus), "new");
  Handle<sd_bus> owned(bus);
  check_bus(sd_bus_set_fd(bus, fd, fd), "fd");
  check_bus(sd_bus_set_server(bus, 1, SD_ID128_MAKE(62, 65, 6e, 63, 68, 62, 65, 6e, 63, 68, 62, 65, 6e, 63, 68, 00)),
            "server");
  check_bus(sd_bus_set_anonymous(bus, 1), "anonymous");
  check_bus(sd_bus_set_trusted(bus, 1), "trusted");
  check_bus(sd_bus_add_object_vtable(bus, nullptr, kPath, kInterface, kMethods, nullptr), "methods");
  check_bus(sd_bus_match_signal_async(bus, nullptr, nullptr, "/org/freedesktop/DBus/Local",
                                      "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, nullptr, nullptr),
            "match");
  check_bus(sd_bus_start(bus), "start");
  check_bus(sd_bus_attach_event(bus, event, 0), "attach");
  owned.release();  // on_disconnected ends it
}

int on_listener(sd_event_source* source, int fd, std::uint32_t, void*) noexcept {
  const int connection = ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  try {
    if (connection >= 0) serve_connection(sd_event_source_get_event(source), connection);
  } catch (const std::system_error&) {
    // The caller has gone already.
  }
  return 0;
}

void serve(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::listen(fd, SOMAXCONN) != 0)
    throw std::system_error(errno, std::generic_category(), "cannot listen on " + path);
  sd_event* event = nullptr;
  check_bus(sd_event_new(&event), "event");
  check_bus(sd_event_add_io(event, nullptr, fd, EPOLLIN, on_listener, nullptr), "listener");
  check_bus(sd_event_loop(event), "loop");
}

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) {
  try {
    if (argc < 2) throw std::runtime_error("usage: bench-sd-bus-server unix:/path");
    hostcall::bench::serve(std::string(argv[1]).substr(5));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
