// Uplink: carries what a descriptor has to a stream, one piece at a time: reads no more while a piece waits for credit.
#pragma once

#include <hostcall/client.h>

#include <algorithm>

#include "client/cli/pieces.h"

namespace hostcall::cli::guest {

// `Fill` has put(Request&, bytes) and end(Request&).
template <class Method, class Fill>
class Uplink {
 public:
  using Request = typename Method::Request;

  // Sends `first` as soon as it can. `stream` must outlive it.
  Uplink(Stream<Method>& stream, const End& end, Request first)
      : stream_(stream), reader_(end), message_(std::move(first)) {}

  // From now on it reads, `most` bytes at once.
  void open(std::size_t most) { most_ = most; }
  pollfd event() const { return {.fd = may_read() ? reader_.fd() : -1, .events = POLLIN, .revents = 0}; }
  // Error: the descriptor can't be read.
  Done proceed(bool readable, std::span<char> buffer) {
    send_waiting();
    if (!readable || !may_read()) return done();
    const auto piece = HOSTCALL_TRY(reader_.read(buffer.first(std::min(buffer.size(), most_))));
    if (piece.empty() && !reader_.ended()) return done();
    message_.Clear();
    reader_.ended() ? Fill::end(message_) : Fill::put(message_, piece);
    waits_ = true;
    is_small_ = piece.size() <= kKeptBytes;
    send_waiting();
    return done();
  }

 private:
  // So much memory stays with a connection for its next piece; most are idle most of the time.
  static constexpr std::size_t kKeptBytes = 1024;

  bool may_read() const { return most_ != 0 && !waits_ && !reader_.ended(); }
  // The stream's end is for its owner to see.
  void send_waiting() {
    if (!waits_ || stream_.try_send(message_) != Progress::kDone) return;
    waits_ = false;
    if (!is_small_) message_ = {};
  }

  Stream<Method>& stream_;
  PieceReader reader_;
  Request message_;
  bool waits_ = true;      // message_ is to be sent
  bool is_small_ = false;  // message_
  std::size_t most_ = 0;
};

// The most bytes that fit into one message of the client's connection.
inline std::size_t piece_bytes(const Client& client) {
  constexpr std::size_t kOverhead = 64;
  const auto session = client.session();
  if (!session || session->max_message_bytes == 0) return kPieceBytes;
  return std::clamp<std::size_t>(session->max_message_bytes, kOverhead + 1, kPieceBytes + kOverhead) - kOverhead;
}

}  // namespace hostcall::cli::guest
