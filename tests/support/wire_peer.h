// An Endpoint whose owner logs its events, and a pipe between two of them. Tests script the owner through `react`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proto/wire/endpoint.h"

namespace hostcall::test {

// The owner's log, one line per event: "request 1 a.B/C", "data 1 abc", "response 1 OK".
class Recorder final : public wire::EndpointEvents {
 public:
  std::vector<std::string> log;
  // Called after each logged event, with its first word. The stream is null for a Goaway.
  std::function<void(std::string_view event, wire::Stream* stream)> react = [](std::string_view, wire::Stream*) {};

  void on_request(wire::Stream& stream, const wire::RequestView& request, bool remote_open) override {
    const std::string_view open = remote_open ? " open" : "";
    note("request", stream,
         text(request.service, "/", request.method, open, request.payload.empty() ? "" : " ") +
             std::string(request.payload));
  }
  void on_response(wire::Stream& stream, const wire::ResponseView& response) override {
    const auto colon = response.message.empty() ? "" : ": ";
    note("response", stream,
         text(wire::code_name(response.code), colon, response.message) +
             text(response.payload.empty() ? "" : " ", response.payload));
  }
  void on_data(wire::Stream& stream, std::string_view data) override {
    note("data", stream, data.size() > kShown ? std::to_string(data.size()) + " bytes" : std::string(data));
  }
  void on_remote_closed(wire::Stream& stream) override { note("closed", stream, {}); }
  void on_refused(wire::Stream& stream, wire::Refusal refusal, wire::FrameType type) override {
    const auto reason = refusal == wire::Refusal::kTooLarge ? "too large, type " : "no budget, type ";
    note("refused", stream, reason + std::to_string(static_cast<int>(type)));
  }
  void on_cancel(wire::Stream& stream, wire::Code code) override { note("cancel", stream, wire::code_name(code)); }
  void on_writable(wire::Stream& stream) override { note("writable", stream, {}); }
  void on_goaway(const wire::Goaway& goaway) override {
    log.push_back("goaway last=" + std::to_string(goaway.last_stream) +
                  " reason=" + std::to_string(static_cast<unsigned>(goaway.reason)) +
                  " retry=" + std::to_string(goaway.retry_after_ms) + text(" ", goaway.text));
    react("goaway", nullptr);
  }

 private:
  static constexpr std::size_t kShown = 64;

  template <class... Parts>
  static std::string text(const Parts&... parts) {
    std::string out;
    (out.append(parts), ...);
    return out;
  }
  void note(std::string_view event, wire::Stream& stream, std::string_view rest) {
    log.push_back(text(event, " ", std::to_string(stream.id()), rest.empty() ? "" : " ", rest));
    react(event, &stream);
  }
};

// Takes all unsent output of an endpoint.
inline std::string take_output(wire::Endpoint& endpoint) {
  std::string bytes;
  while (!endpoint.output().empty()) {
    iovec piece{};
    endpoint.output().gather({&piece, 1});
    bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    endpoint.output().consume(piece.iov_len);
  }
  return bytes;
}

// Summarises the frames of unsent output: "Data 7 #3" is a Data frame on stream 7 with 3 bytes.
inline std::vector<std::string> take_frames(wire::Endpoint& endpoint) {
  constexpr const char* kBase[] = {"?", "Request", "Response", "Data"};
  constexpr const char* kExtension[] = {"Cancel", "Window", "Ping", "Pong", "Goaway"};
  const auto bytes = take_output(endpoint);
  wire::FrameReader reader(wire::kMaxDataBytes, nullptr);
  if (endpoint.has(wire::kFeatureCrc32c)) reader.expect_crc();
  reader.feed(bytes);
  std::vector<std::string> frames;
  while (const auto frame = reader.next()) {
    const auto type = static_cast<unsigned>(frame->header.type);
    frames.push_back(std::string(type < 4 ? kBase[type] : kExtension[type - 0x10]) + " " +
                     std::to_string(frame->header.stream) + " #" + std::to_string(frame->data.size()));
  }
  return frames;
}

struct Peer {
  explicit Peer(const wire::EndpointOptions& options) : endpoint(options, events) {}
  Recorder events;
  wire::Endpoint endpoint;
};

// A client and a server, connected by a pipe.
struct Pair {
  using Role = wire::EndpointOptions::Role;
  Pair() : Pair({.role = Role::kClient}, {.role = Role::kServer}) {}
  Pair(const wire::EndpointOptions& client_options, const wire::EndpointOptions& server_options)
      : client(client_options), server(server_options) {}

  Peer client;
  Peer server;

  void enable(const wire::Extension& extension) {
    client.endpoint.enable(extension);
    server.endpoint.enable(extension);
  }
  // Moves one side's output to the other in pieces of `chunk` bytes. Returns the bytes moved.
  static std::size_t move(Peer& from, Peer& to, std::size_t chunk = SIZE_MAX) {
    const auto bytes = take_output(from.endpoint);
    for (std::string_view rest = bytes; !rest.empty() && to.endpoint.receive(rest.substr(0, chunk));)
      rest.remove_prefix(std::min(chunk, rest.size()));
    if (!bytes.empty()) from.endpoint.output_drained();
    return bytes.size();
  }
  // Moves bytes both ways until both sides are silent.
  void pump(std::size_t chunk = SIZE_MAX) {
    while (move(client, server, chunk) + move(server, client, chunk) != 0) continue;
  }
};

}  // namespace hostcall::test
