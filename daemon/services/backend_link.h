// BackendLink: one connection to the server of a routed service. Moves the bytes of a ttrpc client without ever
// waiting; tells its calls what the server says. With Protocol::kTtrpc it serves one call at a time, whose VM pays for
// what it holds; with kHostcall it says Hello first and serves many, and what is unsent is charged to the VM that sent
// it. What concerns all of its calls happens in parts, so that no turn is long.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/config/config.h"
#include "daemon/config/service_record.h"
#include "daemon/loop/heap_trim.h"
#include "daemon/loop/reactor.h"
#include "daemon/services/host_fd.h"
#include "daemon/vms/vm.h"
#include "proto/base/linked_list.h"
#include "proto/wire/endpoint.h"

namespace hostcall::daemon {

class BackendLink;

// What the links to all servers have in common. Must outlive them.
struct LinkEnvironment {
  Reactor& reactor;
  const Timeouts& timeouts;
  HeapTrim heap{reactor};
  Share share{};  // of the turns, for what no caller has asked for
};

// A call on a link. Linked: it waits for the link to become ready, or to be told that it is lost.
class BackendCall : public Linked {
 public:
  virtual ~BackendCall() = default;
  // Who pays for what it sends.
  virtual const VmRef& vm() const = 0;
  // The link is ready: open the call.
  virtual void on_link_ready() = 0;
  // The server has ended the call; the link has forgotten it.
  virtual void on_response(const wire::ResponseView& response) = 0;
  virtual void on_server_closed() = 0;
  // A message, a view that is valid until this returns. Call consumed() when done with it.
  virtual void on_server_message(std::string_view message) = 0;
  // A message was lost because it has more than ttrpc's 4 MiB, or the VM's memory does not suffice. End the call.
  virtual void on_server_refused(wire::Refusal refusal) = 0;
  // send() may succeed again.
  virtual void on_server_writable() = 0;
  // The connection is gone, and the call with it. `begun`: the server may have begun it.
  virtual void on_link_lost(const std::string& why, bool begun) = 0;

 private:
  friend class BackendLink;
  wire::Stream* stream_ = nullptr;  // null: not open
  bool begun_ = false;              // of on_link_lost()
};

class BackendLinkOwner {
 public:
  // The link can't be used any more, and all its calls have been told. It must live until the end of the turn.
  virtual void on_lost(BackendLink& link) = 0;

 protected:
  ~BackendLinkOwner() = default;
};

class BackendLink final : public TurnEnd, private Worker, private HostFdOwner, private wire::EndpointEvents {
 public:
  // What a link takes of memory, beside its output.
  static constexpr std::size_t kOwnBytes = 2048;
  // How long the server may take to answer Hello.
  static constexpr Duration kHelloLimit = seconds(5);
  // The most unsent bytes with which a call can be opened.
  static constexpr std::size_t kMaxUnsent = 128 * 1024;
  // A server with kHostcall is lost when so many heartbeats, a heartbeat's time after each other, have no answer.
  static constexpr std::uint8_t kMaxLostPings = 3;

  BackendLink(LinkEnvironment& environment, UniqueFd socket, Protocol protocol, BackendLinkOwner& owner);
  ~BackendLink();

  // Whose memory pays for the bytes that the link holds from now on. Only with kTtrpc, before open().
  void charge_to(Charge incomplete_frames, Charge output);
  // The call is over, and the link may serve another one.
  void charge_nobody();

  // Calls can be opened. If not, the link tells those that wait_for_ready(). A server that does not read gets no more
  // requests, which the link would have to keep. Nobody overtakes those who wait.
  bool is_ready() const { return has_room() && waiting_.empty(); }
  // It is ready, or will be.
  bool takes_calls() const { return !lost_ && endpoint_.can_open(); }
  // Whether all has been sent.
  bool is_drained() const { return endpoint_.output().empty(); }
  // Whether nothing has come that nobody has asked for, such as the end of the connection. `since_this_turn`: for what
  // has come since the reactor looked last, which takes a system call.
  bool is_quiet(bool since_this_turn) const;
  int fd() const { return fd_.get(); }
  void wait_for_ready(BackendCall& call) { waiting_.push_back(call); }
  // False: the connection was gone before the server could see any of the request. Requires is_ready().
  [[nodiscard]] bool open(BackendCall& call, const wire::RequestFields& fields, std::string_view payload,
                          wire::Shape shape);
  bool is_open(const BackendCall& call) const { return call.stream_ != nullptr; }
  // It has no call, not even one that waits.
  bool is_idle() const { return endpoint_.open_streams() == 0 && waiting_.empty() && ended_.empty(); }
  // Sends what it can before the end of the turn.
  void send_now() {
    if (!lost_ && !send_some()) flush_soon();
  }
  wire::SendOutcome send(BackendCall& call, std::string_view message);
  void close_send(BackendCall& call);
  // As for an Endpoint.
  void consumed(BackendCall& call, std::size_t message_bytes);
  void kept(BackendCall& call, std::size_t message_bytes);
  // Ends the call; with kTtrpc, the link with it.
  void cancel(BackendCall& call);
  // Closes the connection, without telling anybody. No-op if it is lost.
  void close();
  // Reads nothing meanwhile. With kTtrpc that is all there is to slow down a server.
  void pause(bool paused);

 private:
  // Charges the VM of the one call for incomplete frames.
  class FrameBudget final : public wire::Budget {
   public:
    bool try_charge(std::size_t bytes) override { return charge.try_grow(bytes); }
    // The bytes may have come before the charge.
    void release(std::size_t bytes) override { charge.shrink(std::min<std::uint64_t>(bytes, charge.amount())); }
    Charge charge;
  };

  // What is unsent of one VM, with kHostcall.
  struct Unsent {
    VmRef vm;               // outlives the charge
    std::uint64_t end = 0;  // of all bytes sent, when nothing of it is left
    Charge charge;
  };

  void on_host_io(HostFd& fd, std::uint32_t events) override;
  void work() override;
  void on_turn_end() override { flush(); }

  // EndpointEvents
  void on_request(wire::Stream&, const wire::RequestView&, bool) override {}  // a client gets none
  void on_cancel(wire::Stream&, wire::Code) override {}                       // nor this
  void on_response(wire::Stream& stream, const wire::ResponseView& response) override;
  void on_data(wire::Stream& stream, std::string_view data) override;
  void on_remote_closed(wire::Stream& stream) override;
  void on_refused(wire::Stream& stream, wire::Refusal refusal, wire::FrameType type) override;
  void on_writable(wire::Stream& stream) override;
  void on_goaway(const wire::Goaway& goaway) override;

  void say_hello();
  void take_hello(const wire::ResponseView& response);
  bool has_room() const { return ready_ && takes_calls() && endpoint_.output().bytes() < kMaxUnsent; }
  void open_waiting();
  void beat();
  void hello_is_late() { lose("the server did not answer Hello within 5 s"); }
  void read();
  bool send_some();
  void flush();
  void flush_soon() { reactor_.at_turn_end(*this); }
  void watch();
  void charge_output();
  void charge_unsent(const BackendCall& call, std::size_t unsent_before);
  BackendCall* detach(wire::Stream& stream);
  void lose(const std::string& why);
  void end_later(BackendCall& call, bool begun);
  void end_calls();
  bool may_work() { return reactor_.work().may_work(environment_.share); }
  void spend_on_call();

  LinkEnvironment& environment_;
  Reactor& reactor_;
  BackendLinkOwner& owner_;
  const Protocol protocol_;
  FrameBudget budget_;
  Charge output_;
  HostFd fd_;
  wire::Endpoint endpoint_;
  LinkedList<BackendCall> waiting_;
  LinkedList<BackendCall> ended_;  // not told yet that they are lost
  std::string why_;                // they are
  std::deque<Unsent> unsent_;      // in the order in which it is sent; neighbours are of different VMs
  wire::Stream* hello_ = nullptr;  // until it is answered
  Timer hello_limit_;
  Timer beat_;
  TimePoint silent_since_;  // the last input or heartbeat
  std::uint8_t pings_unanswered_ = 0;
  std::optional<Error> broken_;  // the kernel takes no more output
  std::uint64_t sent_ = 0;
  bool ready_ = false;
  bool lost_ = false;
  bool owner_told_ = false;
  bool paused_ = false;
};

}  // namespace hostcall::daemon
