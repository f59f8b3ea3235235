// Call: one call from begin to end, on whichever links it is tried. Its user owns it (a blocking function's stack, a
// slot of StartedCalls, a stream handle); Channel and Link only point to it.
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
  bool outcome_unknown = false;  // the request was sent and no answer came
  Buffer payload;

  // The next call reuses the payload's memory up to this size.
  static constexpr std::size_t kMaxKeptBytes = 64 * 1024;

  // Prepares for the next call.
  void clear() {
    status.code = wire::Code::kOk;
    status.message.clear();
    status.retry_after = {};
    outcome_unknown = false;
    payload.capacity() > kMaxKeptBytes ? payload.reset() : payload.clear();
  }
};

// Events of a call, a bit mask.
inline constexpr unsigned kReadable = 1;
inline constexpr unsigned kWritable = 2;
inline constexpr unsigned kClosed = 4;

// Channel::process() runs observers outside the engine, so that they may use the channel freely.
class CallObserver {
 public:
  virtual void on_call_events(Call& call, unsigned events) = 0;

 protected:
  ~CallObserver() = default;
};

// What to call. The caller owns the memory behind the views.
struct CallSpec {
  std::string_view service;  // empty: sends nothing and ends when the link is ready
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
    kWaiting,  // for a link, or for room in its output
    kRunning,  // its request is in a link's output, or sent
    kEnded,    // `result` is final
  };

  // `result` and `observer` (may be null) must outlive the call.
  explicit Call(CallResult& result, CallObserver* observer = nullptr) : result(result), observer(observer) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  // Cancels the call unless it has ended.
  ~Call();

  bool ended() const { return state == State::kEnded; }
  // Copies what the spec's views show to `memory` and points the views there, for a call that outlives its caller's
  // memory. Overwrites `memory`, which must outlive the call. Leaves a payload that no frame holds where it is.
  void keep(Buffer& memory);
  // "package.Service/Method", for error texts.
  std::string name() const;

  CallSpec spec;
  CallResult& result;
  CallObserver* observer;
  Inbox inbox;               // received messages of a stream
  bool send_closed = false;  // this side sends no more

  // --- owned by Channel and Link ---
  State state = State::kNew;
  bool sent_data = false;          // Data was sent: the call can't be repeated
  unsigned pending = 0;            // events that the observer has yet to see
  unsigned repeats = 0;            // how often it was started again on another link
  TimePoint give_up = kNever;      // when it stops waiting for a link
  std::uint64_t request_end = 0;   // running: where its request ends in the link's output
  Channel* channel = nullptr;      // set while the channel knows it
  Link* link = nullptr;            // running
  wire::Stream* stream = nullptr;  // running
  std::size_t index = 0;           // in the channel's list
};

}  // namespace hostcall::client
