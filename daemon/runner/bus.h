// Bus: a connection to D-Bus on the reactor. With bus_message, the only wrapper of sd-bus.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/loop/reactor.h"
#include "daemon/runner/bus_message.h"
#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

struct sd_bus;
struct sd_bus_slot;

namespace hostcall::daemon {

using BusHandler = std::function<void(BusMessage)>;

// A call that waits for its answer. Its destructor forgets the call, and one that is still in the queue is not sent.
class [[nodiscard]] BusSlot {
 public:
  BusSlot() = default;

 private:
  friend class Bus;
  std::shared_ptr<BusHandler> handler_;
};

// The destination, path, interface and member of a call.
struct BusMember {
  const char* destination;
  std::string path;
  const char* interface;
  const char* member;
};

// The bus refuses calls beyond 128 without an answer, and all matches beyond 512 (dbus-daemon(1)). So calls wait in a
// queue, and matches are for the whole host; what they bring is told on by the paths of objects.
class Bus final : public IoHandler, public TurnEnd {
 public:
  // Connects to the system's bus, or speaks with a bus on this socket; for tests. Throws std::runtime_error.
  // `on_lost`: the connection has ended, and nothing follows.
  Bus(Reactor& reactor, std::function<void(const std::string&)> on_lost, UniqueFd peer = {});
  ~Bus() override;
  // Waits until it is ready. A call that passes descriptors would wait otherwise. Throws std::runtime_error.
  void wait_until_ready();
  bool is_ready() const;
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;

  // Calls a member; `append` adds the arguments and returns a negative errno if it can't. The answer may be an error,
  // also because the call can't be sent, which may be told at once.
  Result<BusSlot> call(const BusMember& member, const std::function<int(sd_bus_message*)>& append, BusHandler handler);
  // The same for a caller who does not wait for the answer.
  void tell(const BusMember& member, const std::function<int(sd_bus_message*)>& append);
  // Signals, for as long as the connection lives. `rule`: as in AddMatch. A bus that refuses it is lost.
  Done match(const std::string& rule, BusHandler handler);

  // Who is to be told of this object: one for each.
  void listen(const std::string& path, std::function<void()> listener) { listeners_[path] = std::move(listener); }
  void end_listening(const std::string& path) { listeners_.erase(path); }
  void notify(const std::string& path) const;

  void on_io(std::uint32_t events) override;
  void on_turn_end() override;

 private:
  struct Call;
  struct Match;

  void process();
  void watch();
  void lose(int error);
  void send_waiting();
  void send(std::unique_ptr<Call> call);
  void on_answer(Call& call, sd_bus_message* answer);

  Reactor& reactor_;
  std::function<void(const std::string&)> on_lost_;
  sd_bus* bus_ = nullptr;
  UniqueFd socket_;  // a copy: sd-bus closes its own one when the connection ends
  std::uint32_t watched_ = 0;
  int match_error_ = 0;
  std::vector<std::unique_ptr<Match>> matches_;
  std::deque<std::unique_ptr<Call>> unsent_;
  std::vector<std::unique_ptr<Call>> sent_;
  std::map<std::string, std::function<void()>> listeners_;
  Timer timer_{reactor_, Callback::to<&Bus::process>(this)};
};

}  // namespace hostcall::daemon
