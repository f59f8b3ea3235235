// Options of a server: who is served, and how much at once. Include server.h instead.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace hostcall {
inline namespace abi0 {

// What a server tells its program, because nobody else learns it.
struct ServerError {
  std::string method{};  // "acme.v1.Inventory/List" if a handler of it failed; empty: the server itself
  std::string text{};    // what failed: the exception's what(), how a peer broke the protocol, why accept() failed
};

struct ServerOptions {
  // --- the socket of Server::listen() ---
  mode_t mode = 0660;
  // Group of the socket's file: hostcalld's, "hostcall", lets it connect to the socket of another user's service.
  // Empty: the process's. Only root and members can give a file to a group.
  std::string group{};

  // --- trust: identity counts only from root, this user and these uids ---
  std::string hostcall_user = "hostcall";  // looked up once, at the start; no such user, or empty: nobody
  std::vector<uid_t> trusted_uids{};
  // True: calls of other local users are refused with PERMISSION_DENIED. False: they are served, with an empty Caller.
  bool require_hostcall = true;

  // --- limits ---
  std::size_t max_connections = 64;
  std::size_t max_calls_per_connection = 1024;         // hostcalld has one connection for all VMs
  std::size_t max_calls = 1024;                        // on all connections
  std::uint32_t max_message_bytes = 1024 * 1024;       // of a received frame, envelope included; at most 4 MiB
  std::size_t max_message_fields = 16 * 1024;          // of a received message itself, each repetition counted
  std::size_t max_unsent_bytes = 256 * 1024;           // of a connection; beyond, try_send() blocks and requests wait
  std::size_t max_memory_bytes = 64 * 1024 * 1024;     // incomplete frames and messages that handlers have not taken
  std::chrono::milliseconds first_byte_timeout{5000};  // until the first request of a connection is complete
  std::chrono::milliseconds frame_timeout{10000};      // until a frame that has begun is complete
  std::chrono::milliseconds unread_timeout{30000};     // a peer that takes no byte of its replies for so long is lost
  std::chrono::milliseconds drain_time{3000};          // for open calls, after stop()

  // Runs in the server's thread. It must not throw.
  std::function<void(const ServerError&)> on_error{};
  // The time, for tests of deadlines; nothing: the steady clock. run() waits in real time, whatever this says.
  std::function<std::chrono::steady_clock::time_point()> clock{};
};

}  // namespace abi0
}  // namespace hostcall
