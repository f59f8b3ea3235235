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
  std::string address;                  // as Address::parse() takes it
  std::optional<milliseconds> timeout;  // nothing: kDefaultTimeout, or for ever where a verb is meant to last
  bool json = false;
  bool quiet = false;
  bool wait = false;
  bool privileged_port = false;
};

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

  // Connects at its first call. Throws Failure for a bad address.
  Client& client();

  // Throws Failure.
  template <class Method>
  typename Method::Response call(const typename Method::Request& request = {}) {
    return value_of(client().call<Method>(request, rest()));
  }

  // Prints the message as one line of JSON with --json, else the text.
  void show(const google::protobuf::MessageLite& message, std::string_view text) const;
  // The same for an answer that is no more than "done": silent with --quiet.
  void confirm(const google::protobuf::MessageLite& message, std::string_view text) const;

 private:
  std::string program_;
  Common common_;
  TimePoint deadline_;
  std::optional<Client> client_;
};

}  // namespace hostcall::cli
