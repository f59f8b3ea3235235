// The raw socket's server behind the daemon, by Relay/Open of the public C++ interface: the raw client's messages in
// those of a stream. Modes: "" uses the generated types, "bytes" the stream of bytes.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <hostcall/client.h>

#include <memory>
#include <optional>

#include "hostcall/v1/relay.hostcall.h"
#include "tests/bench/harness/client.h"
#include "tests/bench/hostcall/require_ok.h"
#include "tests/bench/raw/message.h"

namespace hostcall::bench {
namespace {

using v1::Relay::Open;

constexpr char kService[] = "raw";
// Of the bytes of both messages: field number and "has a length".
constexpr std::uint32_t kSentTag = v1::OpenRequest::kDataFieldNumber << 3 | 2;
constexpr std::uint32_t kReceivedTag = v1::OpenResponse::kDataFieldNumber << 3 | 2;

// The relay's stream, as a program uses it.
class Messages {
 public:
  virtual ~Messages() = default;
  virtual void send(const v1::OpenRequest& request) = 0;
  // The next message's bytes, until the next call.
  virtual std::string_view receive() = 0;
};

// By the generated types.
class TypedMessages final : public Messages {
 public:
  explicit TypedMessages(Stream<Open> stream) : stream_(std::move(stream)) {}
  void send(const v1::OpenRequest& request) override {
    if (!stream_.send(request)) require_ok(stream_.finish());
  }
  std::string_view receive() override {
    if (!stream_.recv(response_)) require_ok(stream_.finish());
    return response_.data();
  }

 private:
  Stream<Open> stream_;
  v1::OpenResponse response_;
};

// As bytes: neither what comes nor what goes is copied.
class PlainMessages final : public Messages {
 public:
  explicit PlainMessages(ByteStream stream) : stream_(std::move(stream)) {}
  void send(const v1::OpenRequest& request) override {
    const auto& data = request.data();
    v1::OpenRequest rest;
    rest.set_service(request.service());
    rest.SerializeToString(&head_);
    {
      google::protobuf::io::StringOutputStream appended(&head_);
      google::protobuf::io::CodedOutputStream out(&appended);
      out.WriteTag(kSentTag);
      out.WriteVarint32(static_cast<std::uint32_t>(data.size()));
    }
    const iovec pieces[] = {{head_.data(), head_.size()}, {const_cast<char*>(data.data()), data.size()}};
    if (!stream_.send_pieces(pieces)) require_ok(stream_.finish().status());
  }
  std::string_view receive() override {
    std::string_view message;
    if (!stream_.recv(message)) require_ok(stream_.finish().status());
    google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(message.data()),
                                              static_cast<int>(message.size()));
    std::uint32_t size = 0;
    if (message.empty()) return message;
    require(in.ReadTag() == kReceivedTag && in.ReadVarint32(&size), "a message is not what was expected");
    return message.substr(static_cast<std::size_t>(in.CurrentPosition()), size);
  }

 private:
  ByteStream stream_;
  std::string head_;  // what comes before the data
};

class RelayClient final : public Client {
 public:
  explicit RelayClient(const Arguments& arguments) : arguments_(arguments), payload_(pattern(arguments.payload)) {
    chunk_.set_data(pattern(arguments.chunk));
  }

  void call() override {
    auto& data = *request_.mutable_data();
    data.clear();
    raw::append_message(data, payload_);
    const auto size = data.size();
    send(request_);
    in_.clear();
    while (in_.size() < size) in_ += receive();
    check_reply(std::string_view(in_).substr(raw::kPrefix), payload_);
  }
  void download() override {
    ask({arguments_.bytes, arguments_.chunk, 0});
    for (std::uint64_t got = 0; got < arguments_.bytes;) {
      const auto data = receive();
      got += data.size();
      require(data.back() == static_cast<char>((got - 1) % arguments_.chunk), "the stream is not the pattern");
    }
  }
  void upload() override {
    ask({arguments_.bytes, arguments_.chunk, 1});
    for (std::uint64_t sent = 0; sent < arguments_.bytes; sent += arguments_.chunk) send(chunk_);
    std::uint64_t taken = 0;
    in_.clear();
    while (in_.size() < sizeof taken) in_ += receive();
    std::memcpy(&taken, in_.data(), sizeof taken);
    check_total(taken, arguments_.bytes);
  }

 private:
  Messages& messages() {
    if (!messages_) open_relay();
    return *messages_;
  }
  void open_relay() {
    auto client = hostcall::Client::make({.address = arguments_.address, .client_name = "bench"});
    require_ok(client.status());
    client_ = *std::move(client);
    messages_ = make_messages();
    v1::OpenRequest first;
    first.set_service(kService);
    send(first);
    require(messages_->receive().empty(), "the relay does not open");
  }
  std::unique_ptr<Messages> make_messages() {
    if (arguments_.mode == "bytes") {
      auto stream = client_->open_bytes(Open::kFullName, Shape::kBidiStream, {}, {.timeout = kNoTimeout});
      require_ok(stream.status());
      return std::make_unique<PlainMessages>(*std::move(stream));
    }
    auto stream = client_->open<Open>({.timeout = kNoTimeout});
    require_ok(stream.status());
    return std::make_unique<TypedMessages>(*std::move(stream));
  }
  void ask(const raw::Bulk& bulk) {
    auto& data = *request_.mutable_data();
    data.assign(reinterpret_cast<const char*>(&raw::kBulk), raw::kPrefix);
    data.append(reinterpret_cast<const char*>(&bulk), sizeof bulk);
    send(request_);
  }
  void send(const v1::OpenRequest& request) { messages().send(request); }
  std::string_view receive() {
    const auto data = messages().receive();
    require(!data.empty(), "the server has ended the connection");
    return data;
  }

  const Arguments& arguments_;
  const std::string payload_;
  v1::OpenRequest request_, chunk_;
  std::string in_;
  std::optional<hostcall::Client> client_;
  std::unique_ptr<Messages> messages_;
};

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) {
  using namespace hostcall::bench;
  return run_client(argc, argv,
                    [](const Arguments& arguments, Ends&) { return std::make_unique<RelayClient>(arguments); });
}
