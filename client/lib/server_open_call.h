// OpenCall: one call of a server, from its Request until its handler lets go of it. Belongs to the handler; knows its
// session until the call has ended.
#pragma once

#include <hostcall/server_call.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "client/lib/inbox.h"
#include "client/lib/server_environment.h"
#include "proto/wire/endpoint.h"

namespace hostcall::server {

// How a call ends early, for calls of a session.
class CallOwner {
 public:
  // Answers the call; the session lets go of it.
  virtual void answer_call(wire::Stream& stream, const wire::Status& status, const wire::Payload& reply,
                           bool server_streams) = 0;
  virtual wire::SendOutcome send_message(wire::Stream& stream, const wire::Payload& message) = 0;
  // The handler has taken a message of so many bytes, or the call keeps it until then. `charged`: it has cost credit.
  virtual void message_taken(wire::Stream& stream, std::size_t bytes) = 0;
  virtual void message_kept(wire::Stream& stream, std::size_t bytes) = 0;
  // Messages of so much cost wait for handlers (negative: no longer).
  virtual void note_kept(std::ptrdiff_t cost) = 0;
  virtual bool trusted() const = 0;
  virtual uid_t peer_uid() const = 0;

 protected:
  ~CallOwner() = default;
};

class OpenCall final : public detail::ServerPort, public std::enable_shared_from_this<OpenCall> {
 public:
  // Where the call counts until this object dies.
  struct CountedIn {
    Places::Place connection;
    Places::Place server;
  };

  OpenCall(Environment& environment, CallOwner& owner, wire::Stream& stream, std::shared_ptr<ServedMethod> method,
           const wire::RequestView& request, std::string metadata, CountedIn places);
  // Answers if nobody has.
  ~OpenCall();

  // --- what the session calls ---
  // Runs the handler; `payload`: of the Request.
  void start(std::string_view payload);
  void take_message(std::string_view bytes);
  void remote_closed();
  void writable();
  // Ends the call, which its handler sees as cancelled. `status`: what the caller is told; null: nothing.
  void cancel(const wire::Status* status);
  // Delivers messages that have waited.
  void deliver_kept();
  bool server_streams() const { return method_->server_streams; }

  // --- ServerCall ---
  const Caller& caller() const override;
  std::uint64_t call_id() const override;
  std::optional<std::string_view> metadata(std::string_view key) const override;
  TimePoint deadline() const override { return deadline_; }
  bool cancelled() const override { return cancelled_; }
  uid_t peer_uid() const override { return peer_uid_; }
  const std::string& method() const override { return method_->full_name; }

  // --- ServerPort ---
  void finish(const Status& status, hostcall_payload reply) override;
  Progress try_send(hostcall_payload message) override;
  bool ended() const override { return owner_ == nullptr; }
  void set_paused(bool paused) override;
  void on_message(std::function<void(std::string_view)> function) override;
  void on_remote_closed(std::function<void()> function) override;
  void on_writable(std::function<void()> function) override { callbacks_.writable = share(std::move(function)); }
  void on_cancel(std::function<void()> function) override { callbacks_.cancel = share(std::move(function)); }

 private:
  // Shared, because a callback may replace or end itself while it runs.
  template <class Signature>
  using Callback = std::shared_ptr<const std::function<Signature>>;
  struct Callbacks {
    Callback<void(std::string_view)> message;
    Callback<void()> remote_closed;
    Callback<void()> writable;
    Callback<void()> cancel;
  };
  template <class Signature>
  static Callback<Signature> share(std::function<Signature> function) {
    return std::make_shared<const std::function<Signature>>(std::move(function));
  }

  template <class Function>
  void run(const Function& function);
  void answer(const wire::Status& status, const wire::Payload& reply);
  void leave();
  bool takes_messages() const { return callbacks_.message && !paused_ && inbox_.empty(); }
  void deliver(std::string_view bytes);
  void keep(std::string_view bytes);
  void uncharge(std::size_t cost);
  void report_remote_closed();
  void deliver_later();

  Environment* environment_;  // null once the call has ended, as owner_ and stream_
  CallOwner* owner_;
  wire::Stream* stream_;
  const std::shared_ptr<ServedMethod> method_;
  const std::string metadata_;
  const CountedIn places_;
  const TimePoint deadline_;
  const uid_t peer_uid_;
  const bool trusted_;
  Timer timer_;
  Callbacks callbacks_;
  client::Inbox inbox_;
  mutable std::optional<Caller> caller_;  // once somebody asks
  bool first_is_free_ = false;            // the next message came with the Request, and cost no credit
  bool paused_ = false;
  bool remote_closed_ = false;
  bool deliver_soon_ = false;
  bool delivers_kept_ = false;  // a message of inbox_ is with the handler
  bool cancelled_ = false;
};

}  // namespace hostcall::server
