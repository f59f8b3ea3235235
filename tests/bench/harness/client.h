// Client: one system under test, as the harness uses it. A system implements the works that it can do.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tests/bench/harness/arguments.h"

namespace hostcall::bench {

// The system has no such work; the text says why.
struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Hears of the end of each call that was begun by Client::start().
class Ends {
 public:
  // May start the next call of the slot before it returns.
  virtual void finished(unsigned slot, std::string_view reply) = 0;

 protected:
  ~Ends() = default;
};

class Client {
 public:
  virtual ~Client() = default;

  // One call from begin to end, checked, on the first connection.
  virtual void call() { throw Unsupported("no closed loop"); }
  // Makes the connections that start() needs. Slot i is connection i, or with one connection a call of its own.
  virtual void open(unsigned /*connections*/) { throw Unsupported("no calls side by side"); }
  virtual void start(unsigned /*slot*/) {}
  // A call beside the slots that is answered late; it tells nobody of its end.
  virtual void start_late() { throw Unsupported("no late answers"); }
  // Waits for the end of at least one call.
  virtual void wait() {}
  // Whole streams, checked.
  virtual void download() { throw Unsupported("no streams"); }
  virtual void upload() { throw Unsupported("no streams"); }
  // A new connection, one call, and the end of the connection.
  virtual void connect() { throw Unsupported("no new connections"); }
};

// The payload of every call, and of every chunk: a repeating pattern.
std::string pattern(std::size_t bytes);
// Throw when the reply is not what was sent.
void check_reply(std::string_view reply, std::string_view sent);
void check_chunk(std::string_view chunk, std::size_t bytes);
void check_total(std::uint64_t got, std::uint64_t sent);
// Throws with the text unless the condition holds.
void require(bool good, const std::string& text);

using MakeClient = std::function<std::unique_ptr<Client>(const Arguments&, Ends&)>;
// The main() of a client program.
int run_client(int argc, char** argv, const MakeClient& make);

}  // namespace hostcall::bench
