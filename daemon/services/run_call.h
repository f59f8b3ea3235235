// RunCall: one Run/Start: a program of the host, its three pipes, and its end.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/services/host_call.h"
#include "daemon/services/host_fd.h"
#include "daemon/services/host_reader.h"
#include "daemon/services/host_writer.h"
#include "daemon/services/runner.h"

namespace hostcall::daemon {

class RunCall final : public HostCall, private HostFdOwner, private ProgramObserver {
 public:
  // How long the output of a program that has ended may take to end, too: what it leaves running may hold its pipes.
  static constexpr Duration kLastOutput = milliseconds(200);

  // How long the caller may take to read what the program has left.
  static constexpr Duration kLastReading = seconds(60);
  // Signals that the caller may send to the program; those above are dropped.
  static constexpr double kSignalsPerSecond = 10, kSignalsBurst = 20;

  RunCall(const HostCallEnvironment& environment, const Method& method, const CallContext& context, Charge memory);

  void on_message(std::string_view message) override;
  void on_remote_closed() override;
  void on_writable() override;
  // It may finish.
  void on_drain() override {}
  bool is_portable() const override;
  void hand_over(handover::Call& call, Outgoing& parcel) const override;
  [[nodiscard]] Status take_up(const handover::Call& in, Incoming& incoming);
  bool runs_program() const override { return true; }

 private:
  struct Message {
    std::string_view service, input;
    std::vector<std::string> arguments;
    bool eof = false;
    std::uint64_t signal = 0;
  };
  static constexpr std::size_t kAny = ~std::size_t{0};
  // One of the program's outputs.
  struct Output {
    HostFd fd;
    unsigned field;           // of a StartResponse
    bool reads = false;       // waits for the program's bytes; otherwise for the caller, or for its turn
    std::size_t left = kAny;  // bytes to read before it ends
  };

  static bool parse(std::string_view bytes, Message& message);
  Status check_kind(const ServiceRecord& found) const override;
  void begin(const Message& message);
  Status start_program(const std::vector<std::string>& arguments);
  void take_input(const Message& message, std::size_t message_bytes);
  void input_ended();
  void close_input_if_done();
  void note(HostWriter::Outcome outcome);
  Status send_signal(std::uint64_t signal);

  void resumed_service() override;
  void take_up_pipes(const handover::Run& in, Incoming& incoming);
  void on_started(const std::string& unit) override;
  void on_ended(const ProgramEnd& end) override;
  void on_failed(const Status& status) override { end(status); }
  void on_host_io(HostFd& fd, std::uint32_t events) override;
  void work() override { send_all(); }
  void on_time() override;
  void describe_use(CallRecord& record) const override;

  void send_all();
  bool send_next();
  bool read_once(Output& output);
  bool outputs_are_open() const { return outputs_[0].fd.is_open() || outputs_[1].fd.is_open(); }
  bool is_all_sent() const { return program_end_ && !outputs_are_open(); }
  void cut(Output& output);
  void send_end();
  void watch();

  const HostReader reader_;
  HostFd input_;
  HostWriter to_program_;
  std::array<Output, 2> outputs_;
  std::unique_ptr<RunningProgram> program_;
  std::string unit_;
  std::optional<ProgramEnd> program_end_;
  std::string arguments_;          // their digest
  std::uint64_t from_caller_ = 0;  // bytes
  std::uint64_t from_program_ = 0;
  std::size_t next_output_ = 0;  // both have their turns
  TokenBucket signals_{kSignalsPerSecond, kSignalsBurst};
  bool started_ = false;
  bool cut_ = false;        // the program ended a while ago
  bool greeted_ = false;    // the caller knows that the program runs
  bool input_eof_ = false;  // the caller has sent all input
};

}  // namespace hostcall::daemon
