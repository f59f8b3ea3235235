// RunCall: see run_call.h.
#include "client/hostcall/run_call.h"

namespace hostcall::cli::guest {
namespace {

Done write(PieceWriter& writer, std::string& bytes) { return bytes.empty() ? done() : writer.write(bytes); }

}  // namespace

RunCall::RunCall(Client& client, const v1::StartRequest& request, const Ends& ends, const CallOptions& options,
                 std::optional<v1::Ended>& outcome)
    : client_(client),
      outcome_(outcome),
      stream_(value_of(client.open<v1::Run::Start>(options))),
      uplink_(stream_, ends.input, request),
      output_(ends.output),
      errors_(ends.errors) {}

void RunCall::add_events(std::vector<pollfd>& events) const {
  events.push_back(uplink_.event());
  events.push_back(output_.event());
  events.push_back(errors_.event());
}

Done RunCall::proceed(std::span<const pollfd> events, std::span<char> buffer) {
  HOSTCALL_TRY(output_.on_event(events[1]));
  HOSTCALL_TRY(errors_.on_event(events[2]));
  HOSTCALL_TRY(receive());
  return uplink_.proceed(events[0].revents != 0, buffer);
}

// Takes no more messages than can be written: what waits keeps its credit.
Done RunCall::receive() {
  while (!is_busy() && !ended_) {
    switch (stream_.try_recv(response_)) {
      case Progress::kDone: HOSTCALL_TRY(take()); break;
      case Progress::kWouldBlock: return done();
      case Progress::kEnded: ended_ = true; break;
    }
  }
  return done();
}

Done RunCall::take() {
  if (!open_) uplink_.open(piece_bytes(client_));
  open_ = true;
  if (response_.has_ended()) outcome_ = response_.ended();
  HOSTCALL_TRY(write(output_, *response_.mutable_stdout_data()));
  return write(errors_, *response_.mutable_stderr_data());
}

}  // namespace hostcall::cli::guest
