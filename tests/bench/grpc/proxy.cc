// gRPC's proxy of two hops: passes each call on to another server without looking into its messages, with the deadline
// and cancellation, by one completion queue and one thread. Usage: bench-grpc-proxy ADDRESS TARGET
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <memory>

#include "echo.grpc.pb.h"

namespace hostcall::bench {
namespace {

using Service = ::bench::Echo::WithRawMethod_Call<::bench::Echo::Service>;

constexpr char kCall[] = "/bench.Echo/Call";
constexpr int kCallsReady = 256;

// One call on the completion queue, from the wait for it to its end; then the next takes its place.
class ProxiedCall {
 public:
  ProxiedCall(Service& service, grpc::GenericStub& target, grpc::ServerCompletionQueue& queue)
      : target_(target), queue_(queue), responder_(&context_) {
    service.RequestCall(&context_, &request_, &responder_, &queue, &queue, this);
  }
  // False: the call is over.
  bool go_on() {
    switch (std::exchange(step_, Step(static_cast<int>(step_) + 1))) {
      case Step::kComes: pass_on(); return true;
      case Step::kAnswered: answer(); return true;
      case Step::kEnds: return false;
    }
    return false;
  }

 private:
  enum class Step { kComes, kAnswered, kEnds };

  void pass_on() {
    outgoing_ = grpc::ClientContext::FromServerContext(context_);
    call_ = target_.PrepareUnaryCall(outgoing_.get(), kCall, request_, &queue_);
    call_->StartCall();
    call_->Finish(&reply_, &status_, this);
  }
  void answer() {
    if (status_.ok())
      responder_.Finish(reply_, status_, this);
    else
      responder_.FinishWithError(status_, this);
  }

  grpc::GenericStub& target_;
  grpc::ServerCompletionQueue& queue_;
  grpc::ServerContext context_;
  grpc::ByteBuffer request_, reply_;
  grpc::ServerAsyncResponseWriter<grpc::ByteBuffer> responder_;
  std::unique_ptr<grpc::ClientContext> outgoing_;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> call_;
  grpc::Status status_;
  Step step_ = Step::kComes;
};

void serve(const std::string& address, const std::string& target) {
  Service service;
  grpc::GenericStub stub(grpc::CreateChannel(target, grpc::InsecureChannelCredentials()));
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const auto queue = builder.AddCompletionQueue();
  const auto server = builder.BuildAndStart();
  for (int i = 0; i < kCallsReady; ++i) new ProxiedCall(service, stub, *queue);
  void* tag = nullptr;
  bool good = false;
  while (queue->Next(&tag, &good)) {
    auto* call = static_cast<ProxiedCall*>(tag);
    if (good && call->go_on()) continue;
    delete call;
    new ProxiedCall(service, stub, *queue);
  }
}

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: bench-grpc-proxy ADDRESS TARGET\n";
    return 1;
  }
  hostcall::bench::serve(argv[1], argv[2]);
}
