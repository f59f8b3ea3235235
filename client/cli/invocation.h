// Invocation: one run of a verb: the options that all verbs share, the connection, the one deadline, and how an
// answer is shown.
#pragma once

#include <hostcall/client.h>

#include <optional>
#include <string>
#include <string_view>

#include "client/cli/exit_code.h"
#include "proto/base/clock.h"

namespace hostcall::cli {

inline constexpr milliseconds kDefaultTimeout = seconds(30);

struct Common {
  std::string address;                  // as Address::parse_peer() takes it
  std::optional<milliseconds> timeout;  // nothing: kDefaultTimeout, or for ever where a verb is meant to last
  bool json = false;
  bool quiet = false;
  bool wait = false;
  bool privileged_port = false;
};

// The message as one line of JSON. Throws Failure.
std::string json_of(const google::protobuf::MessageLite& message);

class Invocation {
 public:
  Invocation(std::string program, Common common);

  const std::string& program() const { return program_; }
  const Common& common() const { return common_; }
  bool json() const { return common_.json; }
  bool quiet() const { return common_.quiet; }

  // All waiting of the run ends here.
  TimePoint deadline() const { return deadline_; }
  // For a verb that goes on until it is told to end: only a --timeout that was given bounds it.
  void last() {
    if (!common_.timeout) deadline_ = kNever;
  }
  // Gives the run more time, for pauses that are not waiting.
  void extend(Duration pauses) { deadline_ = deadline_after(deadline_, pauses); }
  // What is left of it, at least the shortest time-out; and whether to wait so long for a host that can't be reached.
  CallOptions rest() const;

  // Before client(): how many bytes of streams may wait here before all wait; see hostcall_options.
  void keep_unread(std::uint32_t bytes) { unread_bytes_ = bytes; }
  // Connects at its first call. Throws Failure for a bad address.
  Client& client();
  // Connects now.
  Status try_connect();
  // The same. Throws Failure.
  void connect();

  // Throws Failure.
  template <class Method>
  typename Method::Response call(const typename Method::Request& request = {}) {
    return value_of(reply_of<Method>(request));
  }
  // The same for a call that changes nothing.
  template <class Method>
  typename Method::Response read(const typename Method::Request& request = {}) {
    return value_of_read(reply_of<Method>(request));
  }
  // The same with the failure as a value.
  template <class Method>
  Reply<typename Method::Response> reply_of(const typename Method::Request& request = {}) {
    return patiently([&](const CallOptions& options) { return client().call<Method>(request, options); });
  }
  // Calls `attempt` with options, again and again while the host refuses it over a limit that passes, as long as the
  // deadline allows. Returns its last result, a Reply or a Status.
  template <class Attempt>
  auto patiently(const Attempt& attempt) {
    for (;;) {
      auto result = attempt(rest());
      if (result.ok()) return result;
      const auto status = with_hint(status_in(result));
      if (!passes(status)) return result;
      if (!has_time_for(status.retry_after)) return decltype(result)(status);
      wait(status.retry_after);
    }
  }
  // The status of a call that failed. A refused connection gets a retry_after that grows where the host said none: its
  // slot becomes free when another connection ends. If the deadline passes while a connection is tried again, it is the
  // refusal: what has used up the time is the limit.
  Status with_hint(Status status);
  bool has_time_for(Duration pause) const { return pause < deadline_ - Clock::now(); }

  // Prints the message as one line of JSON with --json, else the text.
  void show(const google::protobuf::MessageLite& message, std::string_view text) const;
  // The same for the answer of a call that has changed something: silent with --quiet, and a Failure says that the
  // change is made.
  void confirm(const google::protobuf::MessageLite& message, std::string_view text) const;

 private:
  static const Status& status_in(const Status& status) { return status; }
  template <class T>
  static const Status& status_in(const Reply<T>& reply) {
    return reply.status();
  }
  Status hinted(Status status);
  // Keeps the connection alive meanwhile.
  void wait(Duration time);

  std::string program_;
  Common common_;
  milliseconds unhinted_pause_;
  std::optional<Status> refused_;  // the last attempt's, if it is worth another
  TimePoint deadline_;
  std::uint32_t unread_bytes_ = 0;  // 0: the library's default
  std::optional<Client> client_;
};

}  // namespace hostcall::cli
