#include "daemon/calls/endpoint_messages.h"

namespace hostcall::daemon {
namespace {

void fill(const wire::ReceiveWindowState& window, handover::ReceiveWindow& message) {
  message.set_initial(window.initial);
  message.set_credit(window.credit);
  message.set_owed(window.owed);
}

wire::ReceiveWindowState state_of(const handover::ReceiveWindow& message) {
  return {.initial = message.initial(), .credit = message.credit(), .owed = message.owed()};
}

void fill(const wire::StreamState& stream, handover::Stream& message) {
  message.set_id(stream.id);
  message.set_send_credit(stream.send_credit);
  fill(stream.receive, *message.mutable_receive());
  message.set_unconsumed(stream.unconsumed);
  message.set_kept(stream.kept);
  message.set_remote_open(stream.remote_open);
  message.set_local_open(stream.local_open);
  message.set_said_closed(stream.said_closed);
}

wire::StreamState state_of(const handover::Stream& message) {
  return {.id = message.id(),
          .send_credit = message.send_credit(),
          .receive = state_of(message.receive()),
          .unconsumed = message.unconsumed(),
          .kept = message.kept(),
          .remote_open = message.remote_open(),
          .local_open = message.local_open(),
          .said_closed = message.said_closed()};
}

void fill(const wire::SkippedFrame& skipping, handover::Endpoint& message) {
  char header[wire::kHeaderBytes];
  wire::encode_header(skipping.header, header);
  message.set_skip_header(header, sizeof header);
  message.set_skip_refusal(static_cast<std::uint32_t>(skipping.refusal));
  message.set_skip_bytes(skipping.bytes);
  message.set_skip_crc(skipping.crc);
  message.set_skip_trailer(skipping.trailer);
}

std::optional<wire::SkippedFrame> skipping_of(const handover::Endpoint& message) {
  if (message.skip_bytes() == 0 || message.skip_header().size() != wire::kHeaderBytes) return std::nullopt;
  const bool is_too_large = message.skip_refusal() == static_cast<std::uint32_t>(wire::Refusal::kTooLarge);
  return wire::SkippedFrame{.header = wire::decode_header(message.skip_header().data()),
                            .refusal = is_too_large ? wire::Refusal::kTooLarge : wire::Refusal::kNoBudget,
                            .bytes = message.skip_bytes(),
                            .crc = message.skip_crc(),
                            .trailer = message.skip_trailer()};
}

}  // namespace

void fill(const wire::EndpointState& state, handover::Endpoint& message) {
  message.set_features(state.extension.features);
  message.set_stream_window(state.extension.stream_window);
  message.set_connection_window(state.extension.connection_window);
  message.set_send_credit(state.send_credit);
  fill(state.receive, *message.mutable_receive());
  message.set_frames_received(state.frames_received);
  message.set_last_remote(state.last_remote);
  message.mutable_skipped()->Add(state.skipped.begin(), state.skipped.end());
  message.set_next_local(state.next_local);
  message.set_goaway_sent(state.goaway_sent);
  message.set_goaway_received(state.goaway_received);
  for (const auto& stream : state.streams) fill(stream, *message.add_streams());
  if (state.skipping) fill(*state.skipping, message);
}

wire::EndpointState state_of(const handover::Endpoint& message) {
  wire::EndpointState state{.extension = {.features = message.features(),
                                          .stream_window = message.stream_window(),
                                          .connection_window = message.connection_window()},
                            .send_credit = message.send_credit(),
                            .receive = state_of(message.receive()),
                            .frames_received = message.frames_received(),
                            .last_remote = message.last_remote(),
                            .skipped = {message.skipped().begin(), message.skipped().end()},
                            .next_local = message.next_local(),
                            .goaway_sent = message.goaway_sent(),
                            .goaway_received = message.goaway_received(),
                            .streams = {},
                            .skipping = skipping_of(message)};
  for (const auto& stream : message.streams()) state.streams.push_back(state_of(stream));
  return state;
}

}  // namespace hostcall::daemon
