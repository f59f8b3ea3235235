// GenericCall: see generic_call.h. Streams run their own loop, which waits for standard input and the host at once.
#include "client/hostcall/generic_call.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <array>

#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/wait.h"
#include "proto/base/escape.h"

namespace hostcall::cli::guest {
namespace {

Shape shape_of(const google::protobuf::MethodDescriptor& method) {
  if (!method.client_streaming()) return Shape::kServerStream;
  return method.server_streaming() ? Shape::kBidiStream : Shape::kClientStream;
}

std::string service_of(const std::string& method) {
  const auto slash = method.find('/');
  if (slash == std::string::npos)
    throw usage(in_quotes(method) + " is not a method; write package.Service/Method, as hostcall services does");
  return method.substr(0, slash);
}

// Sends documents and prints replies as each side is ready, until the stream has ended.
class Pump {
 public:
  Pump(Invocation& invocation, ByteStream& stream, Documents input)
      : invocation_(invocation), stream_(stream), input_(std::move(input)) {
    stream_.on_event([this](unsigned events) { ended_ = ended_ || (events & HOSTCALL_CLOSED) != 0; });
  }

  template <class Encode, class Print>
  void run(const Encode& encode, const Print& show) {
    while (!ended_) {
      send_what_fits(encode);
      wait();
      receive_all(show);
    }
  }

 private:
  template <class Encode>
  void send_what_fits(const Encode& encode) {
    while (!closed_) {
      if (!pending_)
        if (const auto line = input_.next_line()) pending_ = encode(input_.name_of_line(), *line);
      if (!pending_) break;
      if (stream_.try_send(*pending_) != Progress::kDone) return;
      pending_.reset();
    }
    if (closed_ || !input_.ended()) return;
    stream_.close_send();
    closed_ = true;
  }
  template <class Print>
  void receive_all(const Print& show) {
    std::string_view message;
    while (stream_.try_recv(message) == Progress::kDone) show(message);
  }
  void wait() {
    auto& client = invocation_.client();
    // Reads no more while a document waits for credit.
    std::array<pollfd, 3> events{pollfd{client.fd(), POLLIN, 0}, pollfd{pending_ ? -1 : input_.fd(), POLLIN, 0},
                                 invocation_.quiet() ? pollfd{-1, 0, 0} : loss_of_reader()};
    wait_for(events, client.due());
    if (events[2].revents != 0) throw SignalEnd{SIGPIPE};
    if (events[1].revents != 0) input_.read_some();
    client.process();
  }

  Invocation& invocation_;
  ByteStream& stream_;
  Documents input_;
  std::optional<std::string> pending_;  // a message that waits for credit
  bool closed_ = false;
  bool ended_ = false;
};

}  // namespace

GenericCall::GenericCall(Invocation& invocation, const std::string& method,
                         const std::optional<std::string>& descriptors)
    : invocation_(invocation),
      name_(method),
      description_(Description::of(invocation, descriptors, service_of(method))),
      method_(description_.method(method)) {}

std::string GenericCall::request_of(const std::string& source, const std::string& json) const {
  const auto type = method_.input_type()->full_name();
  auto bytes = description_.schema().from_json(type, json);
  if (!bytes.ok()) throw usage(source + " does not fit " + type + ": " + bytes.error().message());
  return *std::move(bytes);
}

void GenericCall::print_reply(std::string_view bytes, JsonStyle style) const {
  if (invocation_.quiet()) return;
  const auto json = description_.schema().to_json(method_.output_type()->full_name(), bytes, style);
  if (!json)
    throw Failure{ExitCode::kUnreachable, "the host's reply does not fit " + method_.output_type()->full_name()};
  print_line(*json);
}

void GenericCall::print_last_reply(std::string_view bytes) const {
  try {
    print_reply(bytes, invocation_.json() ? JsonStyle::kLine : JsonStyle::kPretty);
  } catch (const Failure& failure) {
    throw Failure{failure.code, "the host has answered, but its reply could not be printed: " + failure.text};
  }
}

void GenericCall::run_unary(const std::string& request) {
  const auto reply = value_of(invocation_.patiently(
      [&](const CallOptions& options) { return invocation_.client().call_bytes(name_, request, options); }));
  print_last_reply(reply);
}

ByteStream GenericCall::open(Shape shape, std::string_view request) {
  return value_of(invocation_.client().open_bytes(name_, shape, request, invocation_.rest()));
}

void GenericCall::run_streaming(ByteStream stream, Documents input) {
  Pump(invocation_, stream, std::move(input))
      .run([this](const std::string& source, const std::string& line) { return request_of(source, line); },
           [this](std::string_view bytes) { print_reply(bytes, JsonStyle::kLine); });
  const auto last = value_of(stream.finish());
  if (!method_.server_streaming()) print_last_reply(last);
}

void GenericCall::run(Documents input) {
  const auto shape = shape_of(method_);
  if (client_streams()) return run_streaming(open(shape, {}), std::move(input));
  const auto request = request_of(input.name(), input.all(invocation_.deadline()));
  if (!method_.server_streaming()) return run_unary(request);
  run_streaming(open(shape, request), Documents());
}

}  // namespace hostcall::cli::guest
