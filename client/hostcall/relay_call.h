// RelayCall: one connection to a service of the host, between two descriptors, which may be the same socket.
#pragma once

#include <string>

#include "client/hostcall/pumped_call.h"
#include "client/hostcall/uplink.h"
#include "hostcall/v1/relay.hostcall.h"

namespace hostcall::cli::guest {

// Where its bytes come from and go to.
struct Ends {
  End input = kStandardInput;
  End output = kStandardOutput;
};

class RelayCall final : public PumpedCall {
 public:
  // Throws Failure. The descriptors stay the caller's; `client` must outlive the call.
  RelayCall(Client& client, const std::string& service, const Ends& ends, const CallOptions& options);

  void add_events(std::vector<pollfd>& events) const override;
  Done proceed(std::span<const pollfd> events, std::span<char> buffer) override;
  bool is_open() const override { return open_; }
  bool ended() const override { return ended_ && !writer_.busy(); }
  Status status() override { return stream_.finish(); }
  // Whether the host has sent something since the last proceed().
  bool has_news() const { return has_news_; }

 private:
  struct Fill {
    static void put(v1::OpenRequest& request, std::string_view bytes) { request.mutable_data()->assign(bytes); }
    static void end(v1::OpenRequest& request) { request.set_eof(true); }
  };
  Done receive();
  Done take();

  Client& client_;
  Stream<v1::Relay::Open> stream_;
  Uplink<v1::Relay::Open, Fill> uplink_;
  PieceWriter writer_;
  v1::OpenResponse response_;
  bool has_news_ = true;
  bool open_ = false;
  bool eof_ = false;  // the service sends no more
  bool ended_ = false;
};

}  // namespace hostcall::cli::guest
