// What an endpoint tells another process that goes on with its connection, and how that one takes over.
#include "proto/wire/endpoint.h"

namespace hostcall::wire {
namespace {

StreamState state_of(const Stream& stream) {
  return {.id = stream.id(),
          .send_credit = stream.send_window.credit(),
          .receive = stream.receive_window.state(),
          .unconsumed = stream.unconsumed,
          .kept = stream.kept,
          .remote_open = stream.remote_open,
          .local_open = stream.local_open,
          .said_closed = stream.said_closed};
}

bool is_possible(const ReceiveWindowState& window) {
  return window.initial >= 0 && window.initial <= kMaxCredit && window.credit <= kMaxCredit && window.owed >= 0 &&
         window.owed <= kMaxCredit;
}

bool is_possible(const StreamState& stream) {
  return is_client_stream(stream.id) && stream.send_credit <= kMaxCredit && is_possible(stream.receive) &&
         stream.kept >= 0 && stream.kept <= stream.unconsumed;
}

bool is_possible(const EndpointState& state) {
  return state.send_credit <= kMaxCredit && is_possible(state.receive) && is_client_stream(state.next_local);
}

}  // namespace

// A stream that the peer has cancelled is not told: its call is over.
EndpointState Endpoint::state() const {
  EndpointState state{.extension = extension_,
                      .send_credit = send_window_.credit(),
                      .receive = receive_window_.state(),
                      .frames_received = frames_received_,
                      .last_remote = last_remote_,
                      .skipped = skipped_,
                      .next_local = next_local_,
                      .goaway_sent = goaway_sent_,
                      .goaway_received = goaway_received_};
  streams_.for_each([&](const Stream& stream) {
    if (!stream.cancelled) state.streams.push_back(state_of(stream));
  });
  if (const auto* skipping = reader_.skipping()) state.skipping = *skipping;
  return state;
}

bool Endpoint::resume_from(const EndpointState& state) {
  if (!is_possible(state)) return false;
  if (state.extension.features != 0) enable(state.extension);
  send_window_ = SendWindow(state.send_credit);
  receive_window_ = ReceiveWindow(state.receive);
  frames_received_ = state.frames_received;
  last_remote_ = state.last_remote;
  skipped_ = state.skipped;
  next_local_ = state.next_local;
  goaway_sent_ = state.goaway_sent;
  goaway_received_ = state.goaway_received;
  if (frames_received_ != 0 || state.skipping) reader_.resume(state.skipping);
  for (const auto& was : state.streams) {
    auto* stream = is_possible(was) ? add_stream(was.id) : nullptr;
    if (stream == nullptr) return false;
    stream->send_window = SendWindow(was.send_credit);
    stream->receive_window = ReceiveWindow(was.receive);
    stream->unconsumed = was.unconsumed;
    stream->kept = was.kept;
    stream->remote_open = was.remote_open;
    stream->local_open = was.local_open;
    stream->said_closed = was.said_closed;
  }
  return !violation_;
}

}  // namespace hostcall::wire
