// WireClient: a caller made of the engine and one socket, for tests that must choose every frame: base and extended
// calls, raw bytes, and bounded waits for the answer.
#pragma once

#include <google/protobuf/message_lite.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hostcall/v1/session.pb.h"
#include "proto/base/unique_fd.h"
#include "proto/wire/endpoint.h"
#include "tests/support/patience.h"

namespace hostcall::test {

struct Answer {
  bool arrived = false;
  wire::Status status;
  std::string payload;
  std::deque<std::string> messages;  // of a streamed reply
};

class WireClient final : private wire::EndpointEvents {
 public:
  // Connects to "unix:…"; throws if it can't. With `run_host` the host lives in this thread: waiting runs it instead,
  // and what has not arrived then never will.
  explicit WireClient(const std::string& address, std::function<void()> run_host = {});

  wire::Endpoint& endpoint() { return endpoint_; }
  int fd() const { return fd_.get(); }
  // Goes with each call that is started.
  std::vector<wire::Metadata> metadata;

  // Calls Session/Hello with all features except `without`, enables the agreed ones and returns the reply. Throws if
  // refused.
  v1::HelloResponse hello(const std::string& boot_id = "boot-1", std::uint64_t without = wire::kFeatureCrc32c);

  // Starts a call and sends it.
  std::uint32_t start(const std::string& method, const std::string& payload, wire::Shape shape = wire::Shape::kUnary,
                      std::chrono::nanoseconds timeout = {});
  // Waits until the call has ended. Not `arrived` if the connection ends or patience runs out.
  Answer finish(std::uint32_t stream);
  // Makes a unary call.
  Answer call(const std::string& method, const google::protobuf::MessageLite& request = v1::PingRequest(),
              std::chrono::nanoseconds timeout = {}) {
    return finish(start(method, request.SerializeAsString(), wire::Shape::kUnary, timeout));
  }
  // Sends a message of a stream, waiting for credit. False: the stream or the connection has ended.
  bool send(std::uint32_t stream, const google::protobuf::MessageLite& message) {
    return send(stream, message.SerializeAsString());
  }
  bool send(std::uint32_t stream, const std::string& message);
  // The same if it needs no waiting.
  bool try_send(std::uint32_t stream, const std::string& message);
  void close_send(std::uint32_t stream);
  void cancel(std::uint32_t stream);
  // Takes a message of a streamed reply; nothing if the stream has ended. Messages return no credit until taken.
  std::optional<std::string> receive(std::uint32_t stream);
  std::size_t unread_bytes(std::uint32_t stream) const;
  // Whether the host has ended it; messages may still be unread.
  bool ended(std::uint32_t stream) const { return calls_.at(stream).ended; }

  // Sends raw bytes, bypassing the engine.
  void send_raw(const std::string& bytes);
  // Moves bytes both ways once; waits at most this long for input. False: nothing arrived, or the connection has ended.
  bool pump(std::chrono::milliseconds time = kPatience);
  // Reads and answers until the host closes. False: patience ran out.
  bool wait_for_close();
  // The same bypassing the engine, which knows nothing of answers to raw bytes.
  bool discard_until_closed();
  // Waits until a Goaway arrives or the connection ends.
  bool wait_for_goaway();
  bool closed() const { return closed_; }
  const std::optional<std::string>& goaway_text() const { return goaway_text_; }
  wire::GoawayReason goaway_reason() const { return goaway_reason_; }

 private:
  struct Call {
    wire::Stream* stream;
    Answer answer;
    bool ended = false;
  };
  void on_request(wire::Stream&, const wire::RequestView&, bool) override {}
  void on_response(wire::Stream& stream, const wire::ResponseView& response) override;
  void on_data(wire::Stream& stream, std::string_view data) override;
  void on_remote_closed(wire::Stream& stream) override;
  void on_refused(wire::Stream&, wire::Refusal, wire::FrameType) override {}
  void on_cancel(wire::Stream&, wire::Code) override {}
  void on_writable(wire::Stream&) override {}
  void on_goaway(const wire::Goaway& goaway) override;
  Call& of(const wire::Stream& stream) { return calls_.at(stream.id()); }
  void end(wire::Stream& stream, const wire::Status& status);
  void enable_extension(std::string_view hello_response);
  // False: the host accepts no more.
  bool flush();

  bool wait_for(short events, std::chrono::milliseconds time);

  UniqueFd fd_;
  std::function<void()> run_host_;
  wire::Endpoint endpoint_;
  std::map<std::uint32_t, Call> calls_;
  std::uint32_t hello_ = 0;  // its stream
  std::optional<std::string> goaway_text_;
  wire::GoawayReason goaway_reason_{};
  bool closed_ = false;  // read all that the host sent
  bool deaf_ = false;    // the host accepts no more; its last output may be unread
};

}  // namespace hostcall::test
