// Endpoint: one side of a connection without I/O, clock or logging: takes bytes, yields events and bytes. One class for
// both roles: a client opens odd streams, a server answers them; even ids are reserved for calls in the other
// direction. The owner moves the bytes and keeps the deadlines.
//
// The owner passes received bytes to receive() and sends output() whenever it is not empty. Once violation() is set, it
// sends the rest of output() and closes. Only receive() and output_drained() deliver events.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "proto/wire/endpoint_state.h"
#include "proto/wire/message.h"
#include "proto/wire/out_queue.h"
#include "proto/wire/reader.h"
#include "proto/wire/stream.h"
#include "proto/wire/stream_table.h"

namespace hostcall::wire {

// The engine calls its owner. A handler may open streams and end any stream, its own too. Views are valid during the
// call.
class EndpointEvents {
 public:
  // Server: a call begins. `remote_open`: the caller will send Data. The owner sets stream.context.
  virtual void on_request(Stream& stream, const RequestView& request, bool remote_open) = 0;
  // Client: the call has ended; with the payload of a single reply.
  virtual void on_response(Stream& stream, const ResponseView& response) = 0;
  // A message of a stream. The owner calls consumed() when it has used the bytes.
  virtual void on_data(Stream& stream, std::string_view data) = 0;
  // The peer sends no more Data. On a client this ends the call with OK.
  virtual void on_remote_closed(Stream& stream) = 0;
  // A frame of the stream exceeded a limit and is lost; on a server perhaps the Request itself. The call can't go on,
  // so the owner ends it. A frame beyond ttrpc's limit ends the connection, too: violation() follows.
  virtual void on_refused(Stream& stream, Refusal refusal, FrameType type) = 0;
  // Server: the caller cancelled. Nothing more is sent; the stream counts until the owner ends it.
  virtual void on_cancel(Stream& stream, Code code) = 0;
  // A stream whose send_data() was blocked may try again.
  virtual void on_writable(Stream& stream) = 0;
  // The peer ends the connection orderly.
  virtual void on_goaway(const Goaway& goaway) = 0;

 protected:
  ~EndpointEvents() = default;
};

struct EndpointOptions {
  enum class Role : std::uint8_t { kClient, kServer };
  Role role = Role::kServer;
  std::uint32_t max_message_bytes = kMaxDataBytes;  // of a received frame
  // send_data() blocks above this much unsent output, whatever the credit.
  std::size_t output_watermark = 128 * 1024;
  // receive() pauses between two frames while more output than this is unsent.
  std::size_t pause_output_bytes = SIZE_MAX;
  Budget* budget = nullptr;        // charged for incomplete frames; may be null
  ChunkPool* chunks = nullptr;     // memory for output; must outlive the endpoint; may be null
  DirectSender* sender = nullptr;  // send_data() sends large Data with it; null: all output goes through output()
  std::uint32_t first_stream = 1;  // client: the id of the first call, odd
};

enum class [[nodiscard]] SendOutcome : std::uint8_t{
    kSent,
    kBlocked,  // no credit, too much output, or suspended; on_writable() follows
    kEnded,    // the stream is cancelled or this side has closed it
};

class Endpoint {
 public:
  Endpoint(const EndpointOptions& options, EndpointEvents& events);
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  // --- bytes ---
  // Takes received bytes and delivers their events. False: see violation().
  [[nodiscard]] bool receive(std::string_view bytes);
  // The input that receive() did not take because of pause_output_bytes or suspend(), a view into the bytes of that
  // call. Pass it again, before later bytes, once output has been sent and after resume().
  std::string_view unread() const { return reader_.rest(); }
  bool output_paused() const { return output_.bytes() > pause_output_bytes_; }
  OutQueue& output() { return output_; }
  const OutQueue& output() const { return output_; }
  // The owner has sent output: wakes streams that wait for room, if it is below the watermark.
  void output_drained();
  // Whether output_drained() would wake streams, unless suspended.
  bool would_wake() const { return wants_room_ && output_.bytes() < output_watermark_; }
  // The owner has no time for this connection until resume(): receive() stops behind the current frame, and send_data()
  // blocks.
  void suspend() { suspended_ = true; }
  // Call output_drained() and receive(unread()) next.
  void resume() { suspended_ = false; }
  bool suspended() const { return suspended_; }
  bool mid_frame() const { return reader_.mid_frame(); }
  std::uint32_t max_message_bytes() const { return reader_.max_data_bytes(); }
  std::uint64_t frames_received() const { return frames_received_; }
  // Null while there is none.
  const Violation* violation() const { return violation_.get(); }

  // --- the extension ---
  // Takes effect for every frame not yet written or read. A client calls it inside on_response(). A window outside 1 to
  // kMaxCredit is a violation.
  void enable(const Extension& extension);
  bool has(Feature feature) const { return (extension_.features & feature) != 0; }
  // Both do nothing unless their feature is agreed: a base client's further calls still come in, and the owner refuses
  // them.
  void send_ping(std::uint64_t token);
  void send_goaway(GoawayReason reason, std::uint32_t retry_after_ms, std::string_view text);

  // --- calls, server role ---
  // Ends the call with a status and, if OK, the payload of a single reply; together at most kMaxDataBytes. Cuts the
  // status message to kMaxToldText.
  void respond(Stream& stream, const Status& status, const Payload& payload = {});
  // Ends a streamed reply with OK.
  void close_stream(Stream& stream);
  // Ends a cancelled call without a frame.
  void forget(Stream& stream);

  // --- calls, client role ---
  // Whether stream ids are left and neither side has said Goaway.
  bool can_open() const {
    return !goaway_received_ && !goaway_sent_ && !violation_ && next_local_ <= kLastClientStream;
  }
  // Begins a call; `shape` determines the flags. Requires can_open().
  Stream& open(const RequestFields& fields, const Payload& payload, Shape shape);
  // Abandons the call: sends Cancel if that was agreed, and ends the stream.
  void cancel(Stream& stream, Code code);
  // This side sends no more Data.
  void close_send(Stream& stream);

  // --- data, both roles ---
  SendOutcome send_data(Stream& stream, const Payload& payload);
  // What send_data() would do now. Ask before building a message that costs something; kBlocked promises on_writable()
  // too.
  SendOutcome ready_to_send(Stream& stream);
  // The owner has used a message of this many bytes; grants credit once enough has accumulated. What a stream has not
  // consumed when it ends counts as consumed.
  void consumed(Stream& stream, std::size_t data_bytes);
  // The owner keeps a message elsewhere, under a bound of its own, until it calls consumed() for it: the message takes
  // nothing off the credit that all streams of the connection share. Required before any later consumed().
  void kept(Stream& stream, std::size_t data_bytes);
  // Gives the peer more credit for the connection than Hello has: for an owner whose streams wait for each other
  // otherwise. At most kMaxCredit in all; does nothing unless windows are agreed.
  void grant(std::uint32_t credit);

  // --- another process goes on ---
  // What this endpoint knows, but for its output. Not within receive().
  EndpointState state() const;
  // The bytes of an incomplete frame: the other endpoint receives them first.
  std::string_view incomplete() const { return reader_.incomplete(); }
  // This endpoint, which is new, goes on where another one was. The owner sets the contexts of the streams. False: no
  // endpoint can be in this state.
  [[nodiscard]] bool resume_from(const EndpointState& state);
  // Null: there is no such stream.
  Stream* find(std::uint32_t stream) { return streams_.find(stream); }

  std::size_t open_streams() const { return streams_.size(); }
  // Calls `visit` for every open stream. It must not end any.
  template <class Visit>
  void for_each_stream(Visit visit) {
    streams_.for_each(visit);
  }

 private:
  using Role = EndpointOptions::Role;

  void handle(const Frame& frame);
  void handle_request(const Frame& frame);
  void handle_response(const Frame& frame);
  void handle_data(const Frame& frame);
  void handle_cancel(const Frame& frame);
  void handle_window(const Frame& frame);
  void handle_ping(const Frame& frame);
  void handle_goaway(const Frame& frame);
  Stream* begin_remote_stream(const FrameHeader& header);
  // Fast path: the next odd id. Compared in 64 bits, because the last 32-bit id has no successor.
  bool take_remote_id(std::uint32_t id) {
    if (id != std::uint64_t{last_remote_} + 2) return take_remote_id_slow(id);
    last_remote_ = id;
    return true;
  }
  bool take_remote_id_slow(std::uint32_t id);
  bool charge_data(Stream* stream, const FrameHeader& header, std::int64_t cost);
  void close_remote(std::uint32_t id);
  bool is_past_stream(std::uint32_t id) const;
  Stream* add_stream(std::uint32_t id);
  void end(Stream& stream);
  void give_back(Stream& stream, std::int64_t cost);
  void settle_connection_credit(std::int64_t cost);
  void wake(Stream& stream);
  void wake_blocked();
  bool may_send(const Stream& stream) const;
  bool no_room() const { return suspended_ || output_.bytes() >= output_watermark_; }
  bool no_stream_may_send() const;
  void violate(Violation::Kind kind, std::string text);
  void violate(Violation::Kind kind, const char* what, const FrameHeader& frame);
  void refuse_oversized(const FrameHeader& header);
  void refuse_type(const FrameHeader& header);
  void refuse_flags(const FrameHeader& header);
  void refuse_id(std::uint32_t id);
  bool require_extension(Feature feature, const FrameHeader& header);

  // Writes a frame whose data `fill(char*)` writes in place.
  template <class Fill>
  void write_frame(FrameHeader header, Fill fill);
  bool send_in_place(const FrameHeader& header, const Payload& payload);
  void write_window(std::uint32_t stream, std::uint32_t credit);
  void write_ping(FrameType type, std::string_view token);

  EndpointEvents& events_;
  FrameReader reader_;
  OutQueue output_;
  DirectSender* sender_;
  StreamTable streams_;
  LinkedList<Stream> blocked_;  // streams whose owners wait for on_writable(), in the order in which they blocked
  Extension extension_;
  SendWindow send_window_{0};
  ReceiveWindow receive_window_{0};
  std::size_t output_watermark_;
  std::size_t pause_output_bytes_;
  std::uint64_t frames_received_ = 0;
  std::uint32_t last_remote_ = 0;       // the newest stream that the peer opened
  std::vector<std::uint32_t> skipped_;  // lower ids that a base client may still use
  std::uint32_t next_local_;            // client: the next stream to open
  bool wants_room_ = false;             // a stream waits for room in the output or for resume()
  bool suspended_ = false;
  Role role_;
  bool goaway_sent_ = false;
  bool goaway_received_ = false;
  std::unique_ptr<Violation> violation_;
};

}  // namespace hostcall::wire
