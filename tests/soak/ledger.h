// The ledger: what the guests of the soak have written and what was acknowledged, so that the test can tell whether the
// store has kept it. Guests and test share it (tests/support/shared_memory.h): a guest that is killed takes nothing of
// it away.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hostcall::test {

inline constexpr unsigned kSoakVms = 200;
// Durable keys of each VM.
inline constexpr unsigned kSoakKeys = 8;
inline constexpr std::size_t kMostActions = 32;
inline constexpr char kDurableFolder[] = "k/";
inline constexpr char kSessionFolder[] = "s/";
inline constexpr char kBootFolder[] = "b/";

inline std::string soak_vm(unsigned vm) { return "vm" + std::to_string(vm); }

// Where the VM's keys are, as the guest and as the administrator name it. The store's history has a share of 1 MiB for
// each namespace that is written to, so its memory would grow through most of the soak if all VMs had a namespace of
// their own: most write below /shared.
constexpr bool has_namespace(unsigned vm) { return vm % 8 == 0; }
std::string guest_folder(unsigned vm);
std::string host_folder(unsigned vm);

// The writes to one key are numbered from 1. Write N + 1 is made only when N is acknowledged; an N without an answer is
// repeated (durable_write.h). So the key is as after `acknowledged` or, if it is one more, `attempted`.
struct SoakKey {
  std::atomic<std::uint64_t> attempted;
  std::atomic<std::uint64_t> acknowledged;
};

struct Ledger {
  std::atomic<bool> stopping;                                 // guests: close your connections and exit
  std::array<std::atomic<std::uint64_t>, kMostActions> done;  // of each action (guest.h)
  SoakKey keys[kSoakVms][kSoakKeys];
};

// The value that it leaves; nothing: it deletes. Write 0 is the time before the first one.
std::optional<std::string> value_after(unsigned vm, unsigned key, std::uint64_t number);
// Which write it is from; 0 if it is no such value.
std::uint64_t number_of(std::string_view value);

// Reads a key's history before and after someone reads the key, and tells whether what he saw is right although writes
// go on.
class KeyCheck {
 public:
  KeyCheck(const Ledger& ledger, unsigned vm, unsigned key);
  bool allows(const std::optional<std::string>& value) const;

 private:
  const SoakKey& state_;
  unsigned vm_, key_;
  std::uint64_t from_;
};

}  // namespace hostcall::test
