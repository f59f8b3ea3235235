// RelayCall: see relay_call.h.
#include "client/hostcall/relay_call.h"

#include "client/cli/exit_code.h"

namespace hostcall::cli::guest {
namespace {

v1::OpenRequest first_request(const std::string& service) {
  v1::OpenRequest request;
  request.set_service(service);
  return request;
}

}  // namespace

RelayCall::RelayCall(Client& client, const std::string& service, const Ends& ends, const CallOptions& options)
    : client_(client),
      stream_(value_of(client.open<v1::Relay::Open>(options))),
      uplink_(stream_, ends.input, first_request(service)),
      writer_(ends.output) {
  stream_.on_event([this](unsigned) { has_news_ = true; });
}

void RelayCall::add_events(std::vector<pollfd>& events) const {
  events.push_back(uplink_.event());
  events.push_back(writer_.event());
}

Done RelayCall::proceed(std::span<const pollfd> events, std::span<char> buffer) {
  has_news_ = false;
  HOSTCALL_TRY(writer_.on_event(events[1]));
  HOSTCALL_TRY(receive());
  return uplink_.proceed(events[0].revents != 0, buffer);
}

// Takes no more messages than can be written: what waits keeps its credit.
Done RelayCall::receive() {
  while (!writer_.busy() && !ended_) {
    if (eof_ && !writer_.ended()) writer_.end();
    switch (stream_.try_recv(response_)) {
      case Progress::kDone: HOSTCALL_TRY(take()); break;
      case Progress::kWouldBlock: return done();
      case Progress::kEnded: ended_ = true; break;
    }
  }
  return done();
}

Done RelayCall::take() {
  if (!open_) uplink_.open(piece_bytes(client_));
  open_ = true;
  eof_ |= response_.eof();
  if (response_.data().empty() || writer_.ended()) return done();
  return writer_.write(*response_.mutable_data());
}

}  // namespace hostcall::cli::guest
