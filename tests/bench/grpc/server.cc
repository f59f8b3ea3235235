// gRPC's server. Mode "cq": calls by a completion queue and one thread, the fastest way; "sync": one method for each
// call in gRPC's own threads, and all that streams.
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <memory>

#include "echo.grpc.pb.h"

namespace hostcall::bench {
namespace {

constexpr int kCallsReady = 256;

class SyncEcho final : public ::bench::Echo::Service {
  grpc::Status Call(grpc::ServerContext*, const ::bench::Payload* request, ::bench::Payload* reply) override {
    reply->set_data(request->data());
    return grpc::Status::OK;
  }
  grpc::Status Pipe(grpc::ServerContext*, grpc::ServerReaderWriter<::bench::Payload, ::bench::Payload>* pipe) override {
    ::bench::Payload message;
    while (pipe->Read(&message)) pipe->Write(message);
    return grpc::Status::OK;
  }
  grpc::Status Source(grpc::ServerContext*, const ::bench::Size* size,
                      grpc::ServerWriter<::bench::Payload>* out) override {
    ::bench::Payload chunk;
    chunk.mutable_data()->resize(size->chunk());
    for (std::size_t i = 0; i < size->chunk(); ++i) (*chunk.mutable_data())[i] = static_cast<char>(i);
    for (std::uint64_t sent = 0; sent < size->bytes(); sent += size->chunk())
      if (!out->Write(chunk)) break;
    return grpc::Status::OK;
  }
  grpc::Status Sink(grpc::ServerContext*, grpc::ServerReader<::bench::Payload>* in, ::bench::Size* total) override {
    ::bench::Payload chunk;
    while (in->Read(&chunk)) total->set_bytes(total->bytes() + chunk.data().size());
    return grpc::Status::OK;
  }
};

// One call on the completion queue, from the wait for it to its end; then the next takes its place.
class AsyncCall {
 public:
  AsyncCall(::bench::Echo::AsyncService& service, grpc::ServerCompletionQueue& queue) : responder_(&context_) {
    service.RequestCall(&context_, &request_, &responder_, &queue, &queue, this);
  }
  // False: the call is over.
  bool go_on() {
    if (replied_) return false;
    replied_ = true;
    reply_.set_data(request_.data());
    responder_.Finish(reply_, grpc::Status::OK, this);
    return true;
  }

 private:
  grpc::ServerContext context_;
  ::bench::Payload request_, reply_;
  grpc::ServerAsyncResponseWriter<::bench::Payload> responder_;
  bool replied_ = false;
};

void serve_queue(::bench::Echo::AsyncService& service, grpc::ServerCompletionQueue& queue) {
  for (int i = 0; i < kCallsReady; ++i) new AsyncCall(service, queue);
  void* tag = nullptr;
  bool good = false;
  while (queue.Next(&tag, &good)) {
    auto* call = static_cast<AsyncCall*>(tag);
    if (good && call->go_on()) continue;
    delete call;
    new AsyncCall(service, queue);
  }
}

void serve(const std::string& address, bool sync) {
  SyncEcho sync_echo;
  ::bench::Echo::AsyncService async_echo;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  if (sync) {
    builder.RegisterService(&sync_echo);
    builder.BuildAndStart()->Wait();
    return;
  }
  builder.RegisterService(&async_echo);
  const auto queue = builder.AddCompletionQueue();
  const auto server = builder.BuildAndStart();
  serve_queue(async_echo, *queue);
}

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: bench-grpc-server ADDRESS [cq|sync]\n";
    return 1;
  }
  hostcall::bench::serve(argv[1], argc > 2 && std::string(argv[2]) == "sync");
}
