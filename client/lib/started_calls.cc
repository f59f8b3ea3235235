#include "client/lib/started_calls.h"

#include "client/lib/c_api.h"

namespace hostcall::client {

class StartedCalls::Slot final : public CallObserver {
 public:
  Slot(StartedCalls& table, std::uint32_t index) : table_(table), index_(index) {}

  std::uint64_t id() const { return std::uint64_t{generation_} << 32 | index_; }
  Call* call() { return call_ ? &*call_ : nullptr; }

  Call& arm(const CallSpec& spec, hostcall_callback callback, void* user) {
    callback_ = callback;
    user_ = user;
    call_.emplace(result_, this);
    call_->spec = spec;
    call_->keep(memory_);
    return *call_;
  }
  // Frees the slot: the call has ended, and its callback has run or never will.
  void release() {
    call_.reset();
    if (memory_.capacity() > CallResult::kMaxKeptBytes) memory_.reset();
    ++generation_;
    table_.free_.push_back(index_);
  }
  int code() const { return static_cast<int>(result_.status.code); }

 private:
  void on_call_events(Call&, unsigned events) override {
    if ((events & kClosed) == 0) return;
    callback_(user_, &result_);
    release();
  }

  StartedCalls& table_;
  std::uint32_t index_;
  std::uint32_t generation_ = 1;  // so that no id is 0
  hostcall_callback callback_ = nullptr;
  void* user_ = nullptr;
  hostcall_result result_;
  Buffer memory_;  // for Call::keep(), reused by the next call
  std::optional<Call> call_;
};

StartedCalls::StartedCalls(Channel& channel) : channel_(channel) {}
StartedCalls::~StartedCalls() = default;

StartedCalls::Slot& StartedCalls::free_slot() {
  if (free_.empty()) {
    const auto index = static_cast<std::uint32_t>(slots_.size());
    // Reserves now: release() must not fail.
    if (free_.capacity() <= slots_.size()) free_.reserve(2 * slots_.size() + 8);
    slots_.push_back(std::make_unique<Slot>(*this, index));
    return *slots_.back();
  }
  auto& slot = *slots_[free_.back()];
  free_.pop_back();
  return slot;
}

int StartedCalls::start(const CallSpec& spec, hostcall_callback callback, void* user, std::uint64_t& id,
                        TimePoint now) {
  auto& slot = free_slot();
  auto& call = slot.arm(spec, callback, user);
  channel_.begin(call, now);
  const bool refused =
      call.ended() && (slot.code() == HOSTCALL_RESOURCE_EXHAUSTED || slot.code() == HOSTCALL_CANCELLED);
  if (refused) {
    const int code = slot.code();
    slot.release();
    return code;
  }
  id = slot.id();
  return HOSTCALL_OK;
}

void StartedCalls::cancel(std::uint64_t id) {
  const auto index = static_cast<std::uint32_t>(id);
  if (index >= slots_.size() || slots_[index]->id() != id) return;
  if (auto* call = slots_[index]->call()) channel_.cancel(*call);
}

}  // namespace hostcall::client
