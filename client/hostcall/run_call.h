// RunCall: one program of the host, with this program's standard input, output and error.
#pragma once

#include <optional>

#include "client/hostcall/pumped_call.h"
#include "client/hostcall/uplink.h"
#include "hostcall/v1/run.hostcall.h"

namespace hostcall::cli::guest {

class RunCall final : public PumpedCall {
 public:
  struct Ends {
    End input = kStandardInput;
    End output = kStandardOutput;
    End errors = kStandardError;
  };

  // Throws Failure. `outcome` receives how the program ended; it and `client` must outlive the call.
  RunCall(Client& client, const v1::StartRequest& request, const Ends& ends, const CallOptions& options,
          std::optional<v1::Ended>& outcome);

  void add_events(std::vector<pollfd>& events) const override;
  Done proceed(std::span<const pollfd> events, std::span<char> buffer) override;
  bool is_open() const override { return open_; }
  bool ended() const override { return ended_ && !is_busy(); }
  Status status() override { return stream_.finish(); }

 private:
  struct Fill {
    static void put(v1::StartRequest& request, std::string_view bytes) { request.mutable_stdin_data()->assign(bytes); }
    static void end(v1::StartRequest& request) { request.set_stdin_eof(true); }
  };
  bool is_busy() const { return output_.busy() || errors_.busy(); }
  Done receive();
  Done take();

  Client& client_;
  std::optional<v1::Ended>& outcome_;
  Stream<v1::Run::Start> stream_;
  Uplink<v1::Run::Start, Fill> uplink_;
  PieceWriter output_;
  PieceWriter errors_;
  v1::StartResponse response_;
  bool open_ = false;
  bool ended_ = false;
};

}  // namespace hostcall::cli::guest
