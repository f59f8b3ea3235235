// Link: one connection to the host with its engine, from connect to loss. Moves bytes, passes the engine's events to
// the calls that they are for, and keeps the heartbeat. Never reconnects: Channel makes a new link.
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

// Why a link has ended.
struct Loss {
  std::string text;       // "the connection broke: Connection reset by peer"
  bool retriable = true;  // another attempt may succeed without anyone's help
};

// The contents of a Goaway.
struct Farewell {
  std::uint32_t last_stream = UINT32_MAX;  // the host has not begun calls on later streams
  Duration retry_after{};
  std::string text;
};

// A Link calls these while the engine works: they record what happened and must not call back.
class LinkEvents {
 public:
  // The host ended the call with OK; the link has let go of it.
  virtual void on_call_done(Call& call, std::string_view payload) = 0;
  // The same for a call that has failed.
  virtual void on_call_failed(Call& call, wire::Status status) = 0;
  // The call's inbox has a new message of this size.
  virtual void on_message(Call& call, std::size_t size) = 0;
  virtual void on_writable(Call& call) = 0;
  // Cost of all messages in inboxes, see Inbox::cost().
  std::size_t unread() const { return unread_; }

 protected:
  ~LinkEvents() = default;
  std::size_t unread_ = 0;
};

// The longest that Link::await() waits.
inline constexpr milliseconds kAwaitLimit{100};

class Link final : private wire::EndpointEvents, private wire::DirectSender {
 public:
  // `options` and `events` must outlive it.
  Link(UniqueFd fd, const ChannelOptions& options, LinkEvents& events, TimePoint now);

  int fd() const { return fd_.get(); }
  // Set once; nothing happens on the link after that.
  const std::optional<Loss>& loss() const { return loss_; }
  void lose(Loss loss);
  // Whether the link was of use. If not, the next attempt waits.
  bool was_sound(TimePoint now) const;

  // --- set-up ---
  // Nothing while connect() is in progress, then its outcome.
  std::optional<Done> connected() const;
  void send_hello(Duration timeout);
  // The host's answer to Hello, once it has come. OK for a plain ttrpc server too.
  const std::optional<wire::Status>& hello() const { return hello_; }
  const Agreement& agreement() const { return agreement_; }
  // After Hello: no new calls, because of Goaway or because stream ids have run out.
  bool leaving() const { return leaving_; }
  const Farewell& farewell() const { return farewell_; }

  // --- bytes ---
  // The poll() events to wait for.
  short wanted_events() const { return static_cast<short>((may_read() ? POLLIN : 0) | (has_output() ? POLLOUT : 0)); }
  // False while more bytes of messages wait in inboxes than may be kept.
  bool may_read() const { return events_.unread() < unread_limit_; }
  // Receives what the socket has, up to a bound and while may_read(), and delivers its events. Records a loss.
  void read(TimePoint now);
  // read() that waits for the first bytes, for kAwaitLimit at most, and updates `now` from the real clock. False:
  // nothing has come. A signal ends the wait with true.
  bool await(TimePoint& now);
  // read() in two steps: look() receives without waiting; true: take() has something to deliver.
  bool look();
  void take(TimePoint now) { read_on(awaited_, now); }
  bool has_output() const { return !endpoint_.output().empty(); }
  // Sends as much output as the socket takes.
  void flush(TimePoint now) {
    if (has_output()) send_output(now);
  }

  // --- heartbeat ---
  // When beat() is due; kNever while no call is open.
  TimePoint next_beat() const { return open_calls() == 0 ? kNever : beat_at_; }
  // Sends a Ping when the host has been silent, and loses the link after three silent intervals. While this side does
  // not read, silence means nothing.
  void beat(TimePoint now) {
    if (now >= next_beat()) beat_slow(now);
  }
  bool idle_since(TimePoint when) const { return endpoint_.open_streams() == 0 && last_read_ <= when; }

  // --- calls ---
  std::size_t open_calls() const { return endpoint_.open_streams(); }
  bool has_room() const { return !leaving_ && endpoint_.output().bytes() < kMaxUnsentBytes; }
  void start(Call& call, TimePoint now);
  // Abandons a running call.
  void cancel(Call& call, wire::Code code);
  wire::SendOutcome send(Call& call, const wire::Payload& payload) {
    return endpoint_.send_data(*call.stream, payload);
  }
  void close_send(Call& call) { endpoint_.close_send(*call.stream); }
  // The user has taken a message of this size from a running call's inbox.
  void consumed(Call& call, std::size_t size) { endpoint_.consumed(*call.stream, size); }
  // Whether the kernel has the request's last byte.
  bool was_written(const Call& call) const { return call.request_end <= sent_; }
  // Detaches the running calls beyond `last_stream`, oldest first.
  std::vector<Call*> abandon_after(std::uint32_t last_stream);
  // Sends Goaway, as far as the socket takes it.
  void say_goaway(TimePoint now);

  short watched = 0;  // owned by Channel: the events that its poll set watches for

 private:
  // Above this much unsent output new requests wait.
  static constexpr std::size_t kMaxUnsentBytes = 1u << 20;

  void on_request(wire::Stream&, const wire::RequestView&, bool) override {}  // servers only
  void on_cancel(wire::Stream&, wire::Code) override {}                       // servers only
  void on_response(wire::Stream& stream, const wire::ResponseView& response) override;
  void on_data(wire::Stream& stream, std::string_view data) override;
  void on_remote_closed(wire::Stream& stream) override;
  // A frame beyond ttrpc's limit, which ends the connection, and the call with it.
  void on_refused(wire::Stream&, wire::Refusal, wire::FrameType) override {}
  void on_writable(wire::Stream& stream) override;
  void on_goaway(const wire::Goaway& goaway) override;
  std::size_t send_now(std::span<iovec> pieces) override;

  void take_hello(const wire::ResponseView& response);
  void enter(Agreement agreement);
  void widen_window();
  void end_ok(Call& call, std::string_view payload);
  void end_failed(Call& call, const wire::ResponseView& response);
  void detach(Call& call);
  bool receive_once(TimePoint now);
  void read_on(const Result<net::Received>& received, TimePoint now);
  bool prepare_to_wait();
  bool deliver(const Result<net::Received>& received, TimePoint now);
  bool broke(const Error& error);
  bool ended();
  bool violated(TimePoint now);
  void send_output(TimePoint now);
  void write_failed(const Error& error, TimePoint now);
  void beat_slow(TimePoint now);
  void restart_beat(TimePoint now);

  UniqueFd fd_;
  const ChannelOptions& options_;
  LinkEvents& events_;
  wire::ChunkPool chunks_;  // output memory
  wire::Endpoint endpoint_;
  ReceiveBuffer buffer_;
  Result<net::Received> awaited_ = net::Received{};  // by look(), for take()
  bool may_wait_ = false;                            // the socket is ready for await()
  std::uint64_t sent_ = 0;                           // bytes that the kernel has taken
  std::size_t unread_limit_;
  TimePoint begun_;
  TimePoint last_read_;
  TimePoint beat_at_ = kNever;
  unsigned unanswered_pings_ = 0;
  bool heard_ = false;   // a byte has been received
  bool served_ = false;  // a call has been answered
  bool leaving_ = false;
  Agreement agreement_;
  Farewell farewell_;
  std::optional<wire::Status> hello_;
  std::optional<Loss> loss_;
};

}  // namespace hostcall::client
