// OneSession: a session that permits everything and has nothing to say but its number and boot id.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "daemon/calls/call.h"

namespace hostcall::daemon::test {

class OneSession final : public SessionFacts {
 public:
  explicit OneSession(std::uint64_t id, std::string boot_id = {}) : id_(id), boot_id_(std::move(boot_id)) {}
  std::uint64_t session_id() const override { return id_; }
  const std::string& boot_id() const override { return boot_id_; }
  std::size_t list_allowed(v1::ListServicesResponse&) const override { return 0; }
  Status authorize(std::span<const Ask>, std::size_t) override { return {}; }
  Status authorize_message(std::span<const Ask>) override { return {}; }
  const Rule* allowed_by() const override { return nullptr; }
  bool may(const Ask&, std::size_t&) const override { return true; }
  std::size_t max_reply_bytes() const override { return 4096; }
  void spend(Units) override {}
  Share& share() override { return share_; }

 private:
  Share share_;
  const std::uint64_t id_;
  const std::string boot_id_;
};

}  // namespace hostcall::daemon::test
