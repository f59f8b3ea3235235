// What a check says, as text that a test compares: "" for one that passed.
#pragma once

#include <string>

#include "proto/base/result.h"

namespace hostcall::test {

template <class T>
std::string refusal_of(const Result<T>& checked) {
  return checked.ok() ? std::string() : checked.error().message();
}

}  // namespace hostcall::test
