// hostcall call: calls any method of the host, JSON in and JSON out.
#include "client/hostcall/generic_call.h"
#include "client/hostcall/guest_verbs.h"

namespace hostcall::cli::guest {
namespace {

constexpr char kHelp[] = R"(Calls any method of the host. Request and reply are in protobuf's JSON: bytes are
base64, 64-bit numbers are strings, and a reply has every field. The host
describes its services: hostcall services lists those that this VM may call,
hostcall describe prints what they take. A service without descriptors on the
host needs --descriptors.

JSON is the request and defaults to {}; - reads it from standard input. For a
method that takes a stream, JSON or else standard input has one document per
line, and each is sent at once. For a method that returns a stream, hostcall
prints one document per line, and --timeout bounds the whole stream. With -q,
prints no reply: use the exit code.
)";

constexpr char kExamples[] = R"(  hostcall call hostcall.v1.Host/Info
  hostcall call hostcall.v1.Diagnostics/Echo '{"payload": "aGVsbG8="}'
  hostcall call hostcall.v1.Diagnostics/Source \
      '{"totalBytes": "100", "chunkBytes": 50}' --json
  generate | hostcall call hostcall.v1.Diagnostics/EchoStream --timeout 1h
)";

class CallVerb : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("SERVICE/METHOD", method_, "Full name, for example hostcall.v1.Host/Info.");
    arguments.option("--descriptors", "FILE", descriptors_, kDescriptorsHelp);
    arguments.positional("JSON", json_, "The request; defaults to {}; - reads standard input.");
  }
  ExitCode run(Invocation& invocation) override {
    GenericCall call(invocation, method_, descriptors_);
    call.run(input(call.client_streams()));
    return ExitCode::kDone;
  }

 private:
  Documents input(bool streaming) const { return Documents::of_argument(json_.value_or(streaming ? "-" : "{}")); }
  std::string method_;
  std::optional<std::string> json_, descriptors_;
};

}  // namespace

const VerbEntry kCall{"call", "call any method, JSON in and out", kHelp, kExamples,
                      []() -> std::unique_ptr<Verb> { return std::make_unique<CallVerb>(); }};

}  // namespace hostcall::cli::guest
