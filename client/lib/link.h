// Link: one socket with its engine, from connect to loss; it moves bytes, hands the engine's events to the
// calls they are for, and watches for signs of life. It never reconnects: that is Channel's work.
#pragma once

#include <poll.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/lib/call.h"
#include "client/lib/hello.h"
#include "client/lib/receive_buffer.h"
#include "proto/base/unique_fd.h"
#include "proto/net/socket.h"
#include "proto/wire/endpoint.h"

namespace hostcall::client {

// Why a connection is of no use any more.
struct Loss {
  std::string text;       // "the connection broke: Connection reset by peer"
  bool retriable = true;  // another attempt may succeed although nothing is changed by hand
};

// What a host asked for with Goaway.
struct Farewell {
  std::uint32_t last_stream = UINT32_MAX;  // calls on later streams were not begun
  Duration retry_after{};
  std::string text;
};

// Told by a Link while the engine works: notes it down, and calls nothing back.
class LinkEvents {
 public:
  // The host ended the call with OK; it is detached from the connection already.
  virtual void on_call_done(Call& call, std::string_view payload) = 0;
  // The same for a call that has failed.
  virtual void on_call_failed(Call& call, wire::Status status) = 0;
  // A message of this many bytes is in the call's inbox.
  virtual void on_message(Call& call, std::size_t size) = 0;
  virtual void on_writable(Call& call) = 0;
  // Cost of all messages in inboxes.
  std::size_t unread() const { return unread_; }

 protected:
  ~LinkEvents() = default;
  std::size_t unread_ = 0;
};

// The longest that Link::await() waits in one go.
inline constexpr milliseconds kAwaitLimit{100};

class Link final : private wire::EndpointEvents, private wire::DirectSender {
 public:
  // `options` and `events` must outlive it.
  Link(UniqueFd fd, const ChannelOptions& options, LinkEvents& events, TimePoint now);

  int fd() const { return fd_.get(); }
  // Set once: nothing more happens on this connection.
  const std::optional<Loss>& loss() const { return loss_; }
  void lose(Loss loss);
  // Whether it was worth making: otherwise the next attempt had better wait.
  bool was_sound(TimePoint now) const;

  // --- set-up ---
  // Nothing: still under way. Otherwise whether the socket is connected.
  std::optional<Done> connected() const;
  void send_hello(Duration timeout);
  // The host's answer to Hello, once it is there; OK for a plain ttrpc server, too.
  const std::optional<wire::Status>& hello() const { return hello_; }
  const Agreement& agreement() const { return agreement_; }
  // After Hello: the host takes no new calls, it said Goaway, or ids have run out.
  bool leaving() const { return leaving_; }
  const Farewell& farewell() const { return farewell_; }

  // --- bytes ---
  // poll() bits to wait for.
  short wanted_events() const {
    const bool writable = !endpoint_.output().empty();
    return static_cast<short>((may_read() ? POLLIN : 0) | (writable ? POLLOUT : 0));
  }
  // False while the owner has more messages to take than may be kept.
  bool may_read() const { return events_.unread() < unread_limit_; }
  // Receives what is there, up to a bound and while it may, and delivers its events. A loss is noted.
  void read(TimePoint now);
  // The same for a caller that has nothing to do but to wait for the first bytes: waits for kAwaitLimit at most, and
  // sets `now` by the real clock. False: nothing has come. A signal ends it as if something had.
  bool await(TimePoint& now);
  // And in two steps: look() asks for bytes without waiting; true: there is something to take().
  bool look();
  void take(TimePoint now) { read_on(awaited_, now); }
  // Sends what the socket takes.
  void flush(TimePoint now) {
    if (!endpoint_.output().empty()) send_output(now);
  }

  // --- liveness ---
  // When beat() is due; kNever while no call is open.
  TimePoint next_beat() const { return open_calls() == 0 ? kNever : beat_at_; }
  // Sends a Ping when the host has been silent, and gives it up after three intervals. While this side does
  // not read, silence means nothing.
  void beat(TimePoint now) {
    if (now >= next_beat()) beat_slow(now);
  }
  bool idle_since(TimePoint when) const { return endpoint_.open_streams() == 0 && last_read_ <= when; }

  // --- calls ---
  std::size_t open_calls() const { return endpoint_.open_streams(); }
  bool has_room() const { return !leaving_ && endpoint_.output().bytes() < kMaxUnsentBytes; }
  void start(Call& call, TimePoint now);
  // Gives a running call up.
  void cancel(Call& call, wire::Code code);
  wire::SendOutcome send(Call& call, const wire::Payload& payload) {
    return endpoint_.send_data(*call.stream, payload);
  }
  void close_send(Call& call) { endpoint_.close_send(*call.stream); }
  // The user has taken a message of this size out of a running call's inbox.
  void consumed(Call& call, std::size_t size) { endpoint_.consumed(*call.stream, size); }
  // Whether the request's last byte has been given to the kernel.
  bool was_written(const Call& call) const { return call.request_end <= sent_; }
  // Detaches the running calls beyond `last_stream`, oldest first.
  std::vector<Call*> abandon_after(std::uint32_t last_stream);
  // Says goodbye as far as the socket takes it.
  void say_goaway(TimePoint now);

  short watched = 0;  // kept by Channel: what its poll set watches the socket for

 private:
  // New requests wait above this much unsent output.
  static constexpr std::size_t kMaxUnsentBytes = 1u << 20;

  void on_request(wire::Stream&, const wire::RequestView&, bool) override {}  // the engine refuses them to clients
  void on_cancel(wire::Stream&, wire::Code) override {}                       // and these
  void on_response(wire::Stream& stream, const wire::ResponseView& response) override;
  void on_data(wire::Stream& stream, std::string_view data) override;
  void on_remote_closed(wire::Stream& stream) override;
  void on_refused(wire::Stream& stream, wire::Refusal refusal, wire::FrameType type) override;
  void on_writable(wire::Stream& stream) override;
  void on_goaway(const wire::Goaway& goaway) override;
  std::size_t send_now(std::span<iovec> pieces) override;

  void take_hello(const wire::ResponseView& response);
  void enter(Agreement agreement);
  void end_ok(Call& call, std::string_view payload);
  [[gnu::cold]] void end_failed(Call& call, const wire::ResponseView& response);
  void detach(Call& call);
  bool receive_once(TimePoint now);
  void read_on(const Result<net::Received>& received, TimePoint now);
  bool prepare_to_wait();
  bool deliver(const Result<net::Received>& received, TimePoint now);
  [[gnu::cold]] bool broke(const Error& error);
  [[gnu::cold]] bool ended();
  [[gnu::cold]] bool violated(TimePoint now);
  void send_output(TimePoint now);
  void write_failed(const Error& error, TimePoint now);
  void beat_slow(TimePoint now);
  void restart_beat(TimePoint now);

  UniqueFd fd_;
  const ChannelOptions& options_;
  LinkEvents& events_;
  wire::ChunkPool chunks_;  // of the output
  wire::Endpoint endpoint_;
  ReceiveBuffer buffer_;
  Result<net::Received> awaited_ = net::Received{};  // of look(), for take()
  bool may_wait_ = false;                            // the socket is set up for await()
  std::uint64_t sent_ = 0;                           // bytes given to the kernel
  std::size_t unread_limit_;
  TimePoint begun_;
  TimePoint last_read_;
  TimePoint beat_at_ = kNever;
  unsigned unanswered_pings_ = 0;
  bool heard_ = false;   // a byte has come
  bool served_ = false;  // a call was answered
  bool leaving_ = false;
  Agreement agreement_;
  Farewell farewell_;
  std::optional<wire::Status> hello_;
  std::optional<Loss> loss_;
};

}  // namespace hostcall::client
