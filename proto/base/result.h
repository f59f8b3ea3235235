// Result<T>: the outcome of an operation that may be refused, by the operating system or by a check of ours.
// Used below the protocol; the outcome of a call is a Status (wire/status.h).
#pragma once

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace hostcall {

// An OS error: errno and what was tried; or what a check found. Ready to be shown.
struct Error {
  int code = 0;      // errno; 0 where the refusal is ours, not the kernel's
  std::string what;  // "bind vsock::18499", without the errno text; or what is wrong

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
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::get<0>(std::move(data_)); }
  const Error& error() const& { return std::get<1>(data_); }
  Error&& error() && { return std::get<1>(std::move(data_)); }
  // The same; the text of an error gets "WHERE: " in front.
  Result within(std::string_view where) && {
    if (auto* error = std::get_if<1>(&data_)) error->what.insert(0, ": ").insert(0, where);
    return std::move(*this);
  }

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
