// Result<T>: the outcome of an operation that the operating system may refuse.
// Used below the protocol (sockets, files); the outcome of a call is a Status (wire/status.h).
#pragma once

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace hostcall {

// An OS error: errno and what was tried, ready to be shown.
struct Error {
  int code = 0;      // errno; 0 where the refusal is ours, not the kernel's
  std::string what;  // "bind vsock::18499", without the errno text

  std::string message() const { return code == 0 ? what : what + ": " + std::strerror(code); }
  static Error from_errno(std::string what) { return Error{errno, std::move(what)}; }
};

template <class T = std::monostate>
class [[nodiscard]] Result {
 public:
  Result(T value) : data_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : data_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return data_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(data_); }
  const T& value() const& { return std::get<0>(data_); }
  T&& value() && { return std::get<0>(std::move(data_)); }
  T* operator->() { return &value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::get<0>(std::move(data_)); }
  const Error& error() const& { return std::get<1>(data_); }
  Error&& error() && { return std::get<1>(std::move(data_)); }

 private:
  std::variant<T, Error> data_;
};

// A Result without a value.
using Done = Result<std::monostate>;
inline Done done() { return Done(std::monostate{}); }

}  // namespace hostcall

// Takes the value out of a Result, or returns its error from the enclosing function.
#define HOSTCALL_TRY(expression)                                                  \
  __extension__({                                                                 \
    auto hostcall_try_result = (expression);                                      \
    if (!hostcall_try_result.ok()) return std::move(hostcall_try_result).error(); \
    std::move(hostcall_try_result).value();                                       \
  })
