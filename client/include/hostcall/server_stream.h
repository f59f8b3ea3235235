// ServerStream: the server's end of a streaming call. Include server.h instead.
#pragma once

#include <hostcall/server_call.h>

#include <functional>
#include <string_view>
#include <utility>

namespace hostcall {
inline namespace abi0 {

// A streaming call of a generated method type. Copies mean the same call: a callback may keep one, and so keep the call
// open. The server drops all callbacks when the call has ended: finished, or cancelled and on_cancel() has run.
// When the last copy is gone before that, the call ends with INTERNAL. Threads as for Responder.
template <class Method>
class ServerStream : public detail::ServerHandle<Method> {
 public:
  using Request = typename Method::Request;
  using Response = typename Method::Response;
  using detail::ServerHandle<Method>::ServerHandle;

  // --- messages to the caller ---
  // kWouldBlock: the caller has not taken enough of what was sent before; on_writable() runs when it has. A message
  // above 4 MiB ends the call with RESOURCE_EXHAUSTED.
  [[nodiscard]] Progress try_send(const Response& message) const requires Method::kServerStreams {
    return this->port().try_send(detail::payload_of(message));
  }
  // Runs in process() after a try_send() that would block.
  void on_writable(std::function<void()> function) const requires Method::kServerStreams {
    this->port().on_writable(std::move(function));
  }

  // --- messages from the caller ---
  // Runs for each message, in order. A message that does not parse ends the call with INVALID_ARGUMENT. Set it before
  // the handler returns or later: messages wait for it. A caller that sends faster than the messages are taken is held
  // up by its window, or on a base connection with everything that it sends.
  void on_message(std::function<void(const Request&)> function) const requires Method::kClientStreams {
    this->port().on_message([&port = this->port(), function = std::move(function)](std::string_view bytes) {
      Request message;
      if (!detail::parse(bytes, message)) return port.finish(detail::unparseable(port, message), {});
      function(message);
    });
  }
  // No more messages until resume(). What has arrived and what still may waits, and holds the caller up.
  void pause() const requires Method::kClientStreams { this->port().set_paused(true); }
  // Messages go on in process().
  void resume() const requires Method::kClientStreams { this->port().set_paused(false); }
  // Runs once, behind the last message: the caller sends no more.
  void on_remote_closed(std::function<void()> function) const requires Method::kClientStreams {
    this->port().on_remote_closed(std::move(function));
  }
};

}  // namespace abi0
}  // namespace hostcall
