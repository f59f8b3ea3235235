// RoutedCall: one call to a service that another server of the host serves. Passes the payloads on without looking into
// them, both ways, each as fast as its receiver takes it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/services/backend.h"
#include "daemon/services/host_call.h"
#include "daemon/services/message_queue.h"

namespace hostcall::daemon {

class RoutedCall final : public HostCall, private BackendCall {
 public:
  RoutedCall(const HostCallEnvironment& environment, const Method& method, const CallContext& context, Charge memory,
             std::shared_ptr<Backend> backend);
  ~RoutedCall() override;

  using HostCall::take_place;

  void on_message(std::string_view message) override;
  void on_remote_closed() override;
  void on_writable() override;
  void on_drain() override;

 private:
  // How long the server's backlog may be full.
  static constexpr Duration kConnectLimit = milliseconds(100);

  // How the server has ended the call, until the caller has all messages before it.
  struct Answer {
    Status status;
    std::string payload;
    bool is_response = false;  // not just the end of a stream
  };

  void start() override;
  Status check_kind(const ServiceRecord&) const override { return {}; }  // the route has found it
  void work() override {}                                                // it never waits for its turn
  void on_time() override { connect(); }
  void describe_use(CallRecord& record) const override;

  void connect();
  bool take_link();
  Done take_own_link(bool reuse);
  Done take_shared_link();
  Status check_link() const;
  [[nodiscard]] bool keep_request();
  void open(const wire::RequestView& request);
  const VmRef& vm() const override { return caller().vm; }
  bool try_again_later(const Error& error);
  // Whether the VM has no memory left for what the server does not take at once.
  bool is_out_of_memory();
  Done open_on_link(const wire::RequestFields& fields, std::string_view payload);
  void give_link_back(bool clean);
  void fail(const Status& status);

  // BackendCall
  void on_link_ready() override;
  void on_response(const wire::ResponseView& response) override;
  void on_server_closed() override;
  void on_server_message(std::string_view message) override;
  void on_server_refused(wire::Refusal refusal) override;
  void on_server_writable() override;
  void on_link_lost(const std::string& why, bool begun) override;

  void keep_reply(std::string_view message);
  void send_kept_replies();
  void send_kept_requests();
  void finish(const Status& status, std::string_view payload, bool is_response);
  void end_as_answered();
  Status unavailable(std::string_view why) const;

  const Method& method_;
  const std::shared_ptr<Backend> backend_;
  const TimePoint deadline_;
  const wire::RequestView* request_;  // until start() returns
  std::string kept_request_;          // while there is no connection
  std::unique_ptr<BackendLink> own_link_;
  BackendLink* link_ = nullptr;  // null: no connection yet, or no more
  MessageQueue to_server_, to_caller_;
  Charge kept_;  // for kept_request_ and answer_
  std::optional<Answer> answer_;
  TimePoint connect_until_ = kNever;
  std::uint64_t from_caller_ = 0, from_server_ = 0;  // bytes
  bool opened_ = false;                              // the server has been sent the Request
  bool caller_closed_ = false;
};

}  // namespace hostcall::daemon
