#include "daemon/runner/bus.h"

#include <fcntl.h>
#include <systemd/sd-bus.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

namespace hostcall::daemon {
namespace {

constexpr int kMessagesPerTurn = 64;
constexpr seconds kReadyTime{20};
constexpr std::uint64_t kReadyWaitUsec = 1'000'000;

// Without an answer.
constexpr std::size_t kMaxSent = 32;

[[noreturn]] void fail(const std::string& what, int error) { throw std::runtime_error(Error{-error, what}.message()); }

struct MessageDeleter {
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using OwnedMessage = std::unique_ptr<sd_bus_message, MessageDeleter>;

struct SlotDeleter {
  void operator()(sd_bus_slot* slot) const { sd_bus_slot_unref(slot); }
};
using OwnedSlot = std::unique_ptr<sd_bus_slot, SlotDeleter>;

// Null, and a negative errno.
OwnedMessage make_call(sd_bus* bus, const BusMember& member, const std::function<int(sd_bus_message*)>& append,
                       int& error) {
  sd_bus_message* message = nullptr;
  error = bus == nullptr ? -ENOTCONN
                         : sd_bus_message_new_method_call(bus, &message, member.destination, member.path.c_str(),
                                                          member.interface, member.member);
  OwnedMessage owned(message);
  if (error >= 0) error = append(message);
  if (error < 0) owned.reset();
  return owned;
}

}  // namespace

struct Bus::Call {
  Call(Bus& on, OwnedMessage unsent, std::weak_ptr<BusHandler> whose, bool told)
      : bus(on), message(std::move(unsent)), handler(std::move(whose)), is_told(told) {}
  Bus& bus;
  OwnedMessage message;  // until it is sent
  std::weak_ptr<BusHandler> handler;
  bool is_told;  // nobody waits for the answer
  OwnedSlot slot;

  bool is_wanted() const { return is_told || !handler.expired(); }
  void answer(BusMessage answer) const {
    // The handler may end its slot.
    if (const auto kept = handler.lock()) (*kept)(answer);
  }
  static int on_message(sd_bus_message* message, void* self, sd_bus_error*) {
    auto& call = *static_cast<Call*>(self);
    call.bus.on_answer(call, message);
    return 0;
  }
};

struct Bus::Match {
  Match(Bus& on, BusHandler to) : bus(on), handler(std::move(to)) {}
  Bus& bus;
  BusHandler handler;
  OwnedSlot slot;

  static int on_message(sd_bus_message* message, void* self, sd_bus_error*) {
    static_cast<Match*>(self)->handler(BusMessage(message));
    return 0;
  }
  // The bus says whether it has added the match.
  static int on_added(sd_bus_message* message, void* self, sd_bus_error*) {
    const int error = sd_bus_message_get_errno(message);
    if (error != 0) static_cast<Match*>(self)->bus.match_error_ = error;
    return 0;
  }
};

Bus::Bus(Reactor& reactor, std::function<void(const std::string&)> on_lost, UniqueFd peer)
    : reactor_(reactor), on_lost_(std::move(on_lost)) {
  int error = 0;
  if (!peer) {
    error = sd_bus_open_system(&bus_);
  } else {
    error = sd_bus_new(&bus_);
    const int fd = peer.release();
    if (error >= 0) error = sd_bus_set_fd(bus_, fd, fd);
    if (error >= 0) error = sd_bus_set_bus_client(bus_, 1);
    if (error >= 0) error = sd_bus_negotiate_fds(bus_, 1);
    if (error >= 0) error = sd_bus_start(bus_);
  }
  if (error < 0) fail("connect to D-Bus", error);
  watched_ = kReadable;
  socket_ = UniqueFd::adopt(::fcntl(sd_bus_get_fd(bus_), F_DUPFD_CLOEXEC, 3));
  if (!socket_ || !reactor_.add(socket_.get(), watched_, *this).ok()) fail("watch D-Bus", -ENOMEM);
  reactor_.at_turn_end(*this);
}

Bus::~Bus() {
  reactor_.forget(*this);
  if (bus_ != nullptr) reactor_.remove(socket_.get());
  // What has been told should still arrive.
  sent_.clear();
  matches_.clear();
  for (const auto& call : std::exchange(unsent_, {}))
    if (bus_ != nullptr && call->is_told) (void)sd_bus_send(bus_, call->message.get(), nullptr);
  sd_bus_flush_close_unref(bus_);
}

bool Bus::is_ready() const { return bus_ != nullptr && sd_bus_is_ready(bus_) > 0; }

void Bus::wait_until_ready() {
  const auto give_up = Clock::now() + kReadyTime;
  while (!is_ready()) {
    int result = sd_bus_process(bus_, nullptr);
    if (result == 0) result = sd_bus_wait(bus_, kReadyWaitUsec);
    if (result < 0) fail("speak with D-Bus", result);
    if (Clock::now() > give_up) fail("speak with D-Bus", -ETIMEDOUT);
  }
}

void Bus::on_io(std::uint32_t) { process(); }

void Bus::on_turn_end() { process(); }

void Bus::process() {
  if (bus_ == nullptr) return;
  int more = 1;
  for (int i = 0; i < kMessagesPerTurn && more > 0; ++i) {
    more = sd_bus_process(bus_, nullptr);
    if (more < 0) return lose(-more);
    if (match_error_ != 0) return lose(match_error_);
  }
  if (more > 0) reactor_.at_turn_end(*this);
  watch();
}

void Bus::watch() {
  const int events = sd_bus_get_events(bus_);
  std::uint64_t usec = 0;
  if (events < 0 || sd_bus_get_timeout(bus_, &usec) < 0) return lose(ENOTCONN);
  // The events are poll's, which are epoll's.
  if (const auto wanted = static_cast<std::uint32_t>(events); wanted != std::exchange(watched_, wanted))
    reactor_.change(socket_.get(), wanted, *this);
  timer_.cancel();
  if (usec != UINT64_MAX)
    timer_.set(TimePoint(std::chrono::microseconds(std::min<std::uint64_t>(usec, INT64_MAX / 1000))));
}

void Bus::lose(int error) {
  timer_.cancel();
  reactor_.remove(socket_.get());
  sent_.clear();
  unsent_.clear();
  matches_.clear();
  sd_bus_close_unref(std::exchange(bus_, nullptr));
  on_lost_(Error{error, "the connection to D-Bus is lost"}.message());
}

Result<BusSlot> Bus::call(const BusMember& member, const std::function<int(sd_bus_message*)>& append,
                          BusHandler handler) {
  int error = 0;
  auto message = make_call(bus_, member, append, error);
  if (message == nullptr) return Error{-error, std::string("call ") + member.member};
  BusSlot slot;
  slot.handler_ = std::make_shared<BusHandler>(std::move(handler));
  unsent_.push_back(std::make_unique<Call>(*this, std::move(message), slot.handler_, false));
  send_waiting();
  return slot;
}

void Bus::tell(const BusMember& member, const std::function<int(sd_bus_message*)>& append) {
  int error = 0;
  auto message = make_call(bus_, member, append, error);
  if (message == nullptr) return;
  unsent_.push_back(std::make_unique<Call>(*this, std::move(message), std::weak_ptr<BusHandler>{}, true));
  send_waiting();
}

void Bus::send_waiting() {
  while (bus_ != nullptr && !unsent_.empty() && sent_.size() < kMaxSent) {
    auto call = std::move(unsent_.front());
    unsent_.pop_front();
    if (call->is_wanted()) send(std::move(call));
  }
  reactor_.at_turn_end(*this);
}

void Bus::send(std::unique_ptr<Call> call) {
  sd_bus_slot* slot = nullptr;
  const int error =
      sd_bus_call_async(bus_, &slot, std::exchange(call->message, nullptr).get(), &Call::on_message, call.get(), 0);
  if (error < 0) return call->answer(BusMessage(nullptr));
  call->slot.reset(slot);
  sent_.push_back(std::move(call));
}

void Bus::on_answer(Call& call, sd_bus_message* answer) {
  const auto at = std::ranges::find_if(sent_, [&](const auto& sent) { return sent.get() == &call; });
  const auto answered = std::move(*at);
  sent_.erase(at);
  answered->answer(BusMessage(answer));
  send_waiting();
}

Done Bus::match(const std::string& rule, BusHandler handler) {
  auto match = std::make_unique<Match>(*this, std::move(handler));
  sd_bus_slot* slot = nullptr;
  const int error = bus_ == nullptr ? -ENOTCONN
                                    : sd_bus_add_match_async(bus_, &slot, rule.c_str(), &Match::on_message,
                                                             &Match::on_added, match.get());
  if (error < 0) return Error{-error, "receive signals of D-Bus"};
  match->slot.reset(slot);
  matches_.push_back(std::move(match));
  reactor_.at_turn_end(*this);
  return done();
}

void Bus::notify(const std::string& path) const {
  const auto at = listeners_.find(path);
  if (at == listeners_.end()) return;
  // It may end its listening.
  const auto listener = at->second;
  listener();
}

}  // namespace hostcall::daemon
