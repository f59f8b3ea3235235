// RelayCall: one Relay/Open: a connection to a socket of the host, and the bytes in both directions.
#pragma once

#include <memory>
#include <string_view>

#include "daemon/services/host_call.h"
#include "daemon/services/host_connector.h"
#include "daemon/services/host_fd.h"
#include "daemon/services/host_reader.h"
#include "daemon/services/host_writer.h"

namespace hostcall::daemon {

class RelayCall final : public HostCall, private HostFdOwner, private ConnectObserver {
 public:
  RelayCall(const HostCallEnvironment& environment, const Method& method, const CallContext& context, Charge memory);

  void on_message(std::string_view message) override;
  void on_remote_closed() override;
  void on_writable() override;
  bool is_portable() const override { return !is_over() && (fd_.is_open() || !has_service()); }
  void hand_over(handover::Call& call, Outgoing& parcel) const override;
  [[nodiscard]] Status take_up(const handover::Call& in, Incoming& incoming);

 private:
  void resumed_service() override;
  Status check_kind(const ServiceRecord& found) const override;
  void open(std::string_view service);
  void on_connected(UniqueFd socket) override;
  void on_connect_failed(const Status& status) override { end(status); }
  void on_host_io(HostFd& fd, std::uint32_t events) override;
  void work() override { read_host(); }
  void on_time() override;
  void describe_use(CallRecord& record) const override;

  void take(std::string_view data, std::size_t message_bytes);
  void caller_ended();
  void note(HostWriter::Outcome outcome);
  void lose_writing();
  void read_host();
  bool read_once();
  void wait_for_host();
  void host_ended();
  void greet();
  void tell_eof();
  template <class Message>
  void send(const Message& message);
  void shut_writing_if_done();
  void watch();
  void finish_if_done();
  bool count(std::size_t bytes, std::uint64_t& direction);

  const HostReader reader_;
  std::unique_ptr<HostConnector> connector_;  // until the connection is there
  HostFd fd_;
  HostWriter to_host_;
  std::uint64_t from_host_ = 0;  // bytes
  std::uint64_t from_caller_ = 0;
  TimePoint active_;           // when bytes came last
  bool greeted_ = false;       // the caller knows that the connection is open
  bool reads_ = false;         // waits for the host's bytes; otherwise for the caller, or for its turn
  bool caller_eof_ = false;    // and then:
  bool shut_ = false;          // the host knows
  bool host_eof_ = false;      // and then:
  bool told_eof_ = false;      // the caller knows
  bool lost_writing_ = false;  // the host takes no more bytes
};

}  // namespace hostcall::daemon
