// Environment: what all connections of a server share: its options, methods, limits and time.
#pragma once

#include <hostcall/server_method.h>
#include <hostcall/server_options.h>

#include <exception>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/lib/server_timers.h"
#include "client/lib/server_trust.h"
#include "proto/wire/budget.h"
#include "proto/wire/chunk_pool.h"

namespace hostcall::server {

using detail::ServedMethod;

// Bytes that peers make the server keep, up to a limit.
class Memory final : public wire::Budget {
 public:
  explicit Memory(std::size_t limit) : limit_(limit) {}
  bool try_charge(std::size_t bytes) override {
    if (bytes > limit_ - used_) return false;
    used_ += bytes;
    return true;
  }
  void release(std::size_t bytes) override { used_ -= bytes; }
  std::size_t used() const { return used_; }

 private:
  std::size_t limit_;
  std::size_t used_ = 0;
};

// Counts open calls. A call holds its place until its handler is done with it, perhaps longer than there is a server.
class Places {
 public:
  // Movable; given back when it dies.
  class Place {
   public:
    Place() = default;
    explicit Place(std::shared_ptr<std::size_t> taken) : taken_(std::move(taken)) { ++*taken_; }
    Place(Place&&) = default;
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (taken_) --*taken_;
    }
    explicit operator bool() const { return taken_ != nullptr; }

   private:
    std::shared_ptr<std::size_t> taken_;
  };

  explicit Places(std::size_t limit) : limit_(limit) {}
  // Empty: none is free.
  Place take() { return *taken_ < limit_ ? Place(taken_) : Place(); }
  std::size_t limit() const { return limit_; }

 private:
  std::size_t limit_;
  std::shared_ptr<std::size_t> taken_ = std::make_shared<std::size_t>(0);
};

class Methods {
 public:
  void add(std::shared_ptr<ServedMethod> method) {
    const std::pair<std::string_view, std::string_view> name(method->service, method->method);
    by_name_.erase(name);  // whose key lies in the old method
    by_name_.emplace(name, std::move(method));
  }
  // Null: there is none.
  std::shared_ptr<ServedMethod> find(std::string_view service, std::string_view method) const {
    const auto at = by_name_.find({service, method});
    return at == by_name_.end() ? nullptr : at->second;
  }

 private:
  std::map<std::pair<std::string_view, std::string_view>, std::shared_ptr<ServedMethod>> by_name_;
};

class OpenCall;

// What calls and connections ask of the server.
class Turns {
 public:
  // Deliver the call's messages in the next turn.
  virtual void deliver_later(const std::shared_ptr<OpenCall>& call) = 0;

 protected:
  ~Turns() = default;
};

struct Environment {
  Environment(ServerOptions chosen, Turns& owner)
      : options(std::move(chosen)),
        trust(options),
        memory(options.max_memory_bytes),
        calls(options.max_calls),
        turns(owner) {}

  TimePoint now() const { return options.clock ? options.clock() : Clock::now(); }
  void report(std::string method, std::string text) const {
    if (options.on_error) options.on_error({.method = std::move(method), .text = std::move(text)});
  }
  // Runs a function of the program. False: it has thrown, and that is reported. What is no std::exception terminates
  // the program.
  template <class Function>
  bool run(const std::string& method, const Function& function) const noexcept {
    try {
      function();
      return true;
    } catch (const std::exception& error) {
      report(method, error.what());
      return false;
    }
  }

  static constexpr std::size_t kReadBytes = 64 * 1024;
  static constexpr std::size_t kSpareOutputBytes = 256 * 1024;

  const ServerOptions options;
  const Trust trust;
  Methods methods;
  Memory memory;
  Places calls;
  Timers timers;
  wire::ChunkPool chunks{kSpareOutputBytes};
  std::vector<char> buffer = std::vector<char>(kReadBytes);  // for what is read now
  Turns& turns;
};

}  // namespace hostcall::server
