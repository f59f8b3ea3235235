// Call: one call from its begin to its end, whichever connections it is tried on. Owned by the user's side (a
// blocking function's stack, a started call's slot, a stream handle); Channel and Link only refer to it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "client/lib/inbox.h"
#include "proto/base/buffer.h"
#include "proto/base/clock.h"
#include "proto/wire/message.h"
#include "proto/wire/stream.h"

namespace hostcall::client {

class Call;
class Channel;
class Link;

// How a call ended and what it returned.
struct CallResult {
  wire::Status status;
  bool outcome_unknown = false;  // the request went out and no answer came
  Buffer payload;

  // A larger payload's memory is not kept for the next call.
  static constexpr std::size_t kMaxKeptBytes = 64 * 1024;

  // For the next call; keeps the memory.
  void clear() {
    status.code = wire::Code::kOk;
    status.message.clear();
    status.retry_after = {};
    outcome_unknown = false;
    payload.capacity() > kMaxKeptBytes ? payload.reset() : payload.clear();
  }
};

// Events of a call, bits that can be joined.
inline constexpr unsigned kReadable = 1;
inline constexpr unsigned kWritable = 2;
inline constexpr unsigned kClosed = 4;

// Told about a call by Channel::process() only, when no engine is at work: may do anything with the channel.
class CallObserver {
 public:
  virtual void on_call_events(Call& call, unsigned events) = 0;

 protected:
  ~CallObserver() = default;
};

// What to call. The views are the caller's.
struct CallSpec {
  std::string_view service;  // empty: nothing is sent, the call ends when the connection is ready
  std::string_view method;
  wire::Shape shape = wire::Shape::kUnary;
  wire::Payload payload;
  TimePoint deadline = kNever;
  bool wait_for_ready = false;
};

class Call {
 public:
  enum class State : std::uint8_t {
    kNew,
    kWaiting,  // for a connection, or for room on it
    kRunning,  // its request is in a connection's output, or beyond
    kEnded,    // `result` holds how
  };

  // `result` and `observer` (may be null) must outlive the call.
  explicit Call(CallResult& result, CallObserver* observer = nullptr) : result(result), observer(observer) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  // Cancels it if it has not ended.
  ~Call();

  bool ended() const { return state == State::kEnded; }
  // Copies what the spec's views show, for a call that outlives them, to `memory`, whose contents are lost. It must
  // outlive the call and not be changed.
  void keep(Buffer& memory);
  // "package.Service/Method", for texts.
  std::string name() const;

  CallSpec spec;
  CallResult& result;
  CallObserver* observer;
  Inbox inbox;               // messages of a stream
  bool send_closed = false;  // this side sends no more

  // --- kept by Channel and Link ---
  State state = State::kNew;
  bool sent_data = false;          // a stream with Data on its way can't be repeated
  unsigned pending = 0;            // events that the observer has not been told
  unsigned repeats = 0;            // times that it was begun again on another connection
  TimePoint give_up = kNever;      // waits no longer for a connection
  std::uint64_t request_end = 0;   // running: place of the request's last byte in the connection's output
  Channel* channel = nullptr;      // set while the channel knows it
  Link* link = nullptr;            // running
  wire::Stream* stream = nullptr;  // running
  std::size_t index = 0;           // in the channel's list
};

}  // namespace hostcall::client
