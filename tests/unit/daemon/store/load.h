// What the store process writes and the fault tests check: each writer counts upwards, and each of its transactions
// puts the same number into three keys.
#pragma once

#include <string>

#include "daemon/store/engine.h"

namespace hostcall::daemon::store {

inline constexpr int kLoadWriters = 16;
// Keys that a writer cycles through.
inline constexpr int kLoadSlots = 20;

inline std::string first_key(int writer) { return "/shared/first/" + std::to_string(writer); }
inline std::string second_key(int writer) { return "/vm/w" + std::to_string(writer) + "/second"; }
inline std::string slot_key(int writer, long count) {
  return "/vm/w" + std::to_string(writer) + "/slot/" + std::to_string(count % kLoadSlots);
}
// The number at the beginning of the value; 0: there is no such key.
inline long number_at(const Engine& engine, const std::string& key) {
  const auto record = engine.get(key);
  return record == nullptr ? 0 : std::stol(std::string(record->value()));
}

}  // namespace hostcall::daemon::store
