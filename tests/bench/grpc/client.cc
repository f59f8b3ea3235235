// gRPC's client. Mode "cq": by a completion queue; "sync": the blocking stub, and blocking streams; "bidi": all calls
// as messages of one bidirectional stream, on a completion queue, with gRPC's hint that more will follow.
#include <grpcpp/grpcpp.h>

#include <deque>
#include <vector>

#include "echo.grpc.pb.h"
#include "tests/bench/harness/client.h"

namespace hostcall::bench {
namespace {

using Stub = ::bench::Echo::Stub;

// Channels to the same address would share one connection.
std::shared_ptr<grpc::Channel> make_channel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

void require_ok(const grpc::Status& status) { require(status.ok(), status.error_message()); }

struct AsyncCall {
  AsyncCall(unsigned s, Stub& stub, const ::bench::Payload& request, grpc::CompletionQueue& queue)
      : slot(s), reader(stub.AsyncCall(&context, request, &queue)) {
    reader->Finish(&reply, &status, this);
  }
  unsigned slot;
  grpc::ClientContext context;
  ::bench::Payload reply;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<::bench::Payload>> reader;
};

// Works that need neither mode.
class GrpcClient : public Client {
 public:
  GrpcClient(const Arguments& arguments, Ends& ends) : arguments_(arguments), ends_(ends) {
    request_.set_data(pattern(arguments.payload));
    chunk_.set_data(pattern(arguments.chunk));
    stubs_.push_back(::bench::Echo::NewStub(make_channel(arguments.address)));
  }
  void connect() override {
    const auto stub = ::bench::Echo::NewStub(make_channel(arguments_.address));
    call_blocking(*stub);
  }

 protected:
  void call_blocking(Stub& stub) {
    grpc::ClientContext context;
    require_ok(stub.Call(&context, request_, &reply_));
    check_reply(reply_.data(), request_.data());
  }
  Stub& first() { return *stubs_.front(); }

  const Arguments& arguments_;
  Ends& ends_;
  ::bench::Payload request_, reply_, chunk_;
  std::vector<std::unique_ptr<Stub>> stubs_;
};

class SyncClient final : public GrpcClient {
 public:
  using GrpcClient::GrpcClient;
  void call() override { call_blocking(first()); }
  void download() override {
    ::bench::Size size;
    size.set_bytes(arguments_.bytes);
    size.set_chunk(static_cast<std::uint32_t>(arguments_.chunk));
    grpc::ClientContext context;
    const auto stream = first().Source(&context, size);
    std::uint64_t got = 0;
    while (stream->Read(&chunk_)) {
      check_chunk(chunk_.data(), arguments_.chunk);
      got += chunk_.data().size();
    }
    require_ok(stream->Finish());
    check_total(got, arguments_.bytes);
  }
  void upload() override {
    grpc::ClientContext context;
    ::bench::Size total;
    const auto stream = first().Sink(&context, &total);
    for (std::uint64_t sent = 0; sent < arguments_.bytes; sent += arguments_.chunk)
      if (!stream->Write(chunk_)) break;
    stream->WritesDone();
    require_ok(stream->Finish());
    check_total(total.bytes(), arguments_.bytes);
  }
};

class QueueClient final : public GrpcClient {
 public:
  using GrpcClient::GrpcClient;
  void call() override {
    start_on(first(), 0);
    const auto ended = next();
    check_reply(ended->reply.data(), request_.data());
  }
  void open(unsigned connections) override {
    while (stubs_.size() < connections) stubs_.push_back(::bench::Echo::NewStub(make_channel(arguments_.address)));
    for (const auto& stub : stubs_) call_blocking(*stub);
  }
  void start(unsigned slot) override { start_on(*stubs_[stubs_.size() == 1 ? 0 : slot], slot); }
  void wait() override {
    const auto ended = next();
    ends_.finished(ended->slot, ended->reply.data());
  }

 private:
  void start_on(Stub& stub, unsigned slot) { new AsyncCall(slot, stub, request_, queue_); }
  std::unique_ptr<AsyncCall> next() {
    void* tag = nullptr;
    bool good = false;
    require(queue_.Next(&tag, &good), "the queue has ended");
    std::unique_ptr<AsyncCall> ended(static_cast<AsyncCall*>(tag));
    require_ok(ended->status);
    return ended;
  }
  grpc::CompletionQueue queue_;
};

class BidiClient final : public GrpcClient {
 public:
  using GrpcClient::GrpcClient;
  ~BidiClient() override {
    context_.TryCancel();
    queue_.Shutdown();
    void* tag = nullptr;
    bool good = false;
    while (queue_.Next(&tag, &good)) continue;
  }
  void open(unsigned connections) override {
    if (connections != 1) throw Unsupported("one stream");
    pipe_ = first().AsyncPipe(&context_, &queue_, &opened_);
    require(next() == &opened_, "the stream was not opened");
    pipe_->Read(&reply_, &read_);
  }
  void start(unsigned slot) override {
    slots_.push_back(slot);
    ++unwritten_;
  }
  void wait() override {
    write();
    const void* tag = next();
    if (tag == &written_) {
      writing_ = false;
      return;
    }
    const auto slot = slots_.front();
    slots_.pop_front();
    ends_.finished(slot, reply_.data());
    pipe_->Read(&reply_, &read_);
  }

 private:
  // One write may be in progress; the hint lets gRPC put several into one system call.
  void write() {
    if (writing_ || unwritten_ == 0) return;
    writing_ = true;
    --unwritten_;
    grpc::WriteOptions options;
    if (unwritten_ != 0) options.set_buffer_hint();
    pipe_->Write(request_, options, &written_);
  }
  const void* next() {
    void* tag = nullptr;
    bool good = false;
    require(queue_.Next(&tag, &good) && good, "the stream has ended");
    return tag;
  }

  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<::bench::Payload, ::bench::Payload>> pipe_;
  char opened_ = 0, read_ = 0, written_ = 0;  // tags: their addresses count
  std::deque<unsigned> slots_;                // of the messages on their way, in their order
  unsigned unwritten_ = 0;
  bool writing_ = false;
};

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) {
  using namespace hostcall::bench;
  return run_client(argc, argv, [](const Arguments& arguments, Ends& ends) -> std::unique_ptr<Client> {
    if (arguments.mode == "bidi") return std::make_unique<BidiClient>(arguments, ends);
    if (arguments.mode == "sync") return std::make_unique<SyncClient>(arguments, ends);
    return std::make_unique<QueueClient>(arguments, ends);
  });
}
