// Parcels, given to a service manager and taken by the next process, which here is the same one.
#include "daemon/handover/fd_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "daemon/handover/carrier.h"
#include "daemon/handover/state_file.h"
#include "tests/support/service_manager.h"
#include "tests/unit/daemon/handover/environment_guard.h"

namespace hostcall::daemon {
namespace {

using hostcall::test::EnvironmentGuard;
using hostcall::test::ManagerOptions;
using hostcall::test::ServiceManager;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

// As the next process inherits it.
StoredDescriptors inherited(const ServiceManager& manager) {
  StoredDescriptors stored;
  for (auto& one : manager.stored())
    (one.name == kStateName ? stored.states : stored.carriers).push_back(std::move(one.fd));
  return stored;
}

std::string error_of(const Result<std::optional<Parcel>>& taken) {
  return taken.ok() ? "none" : taken.error().message();
}

std::string dropped(const std::string& why) { return "what the last daemon has handed over was dropped: " + why; }

class FdStoreTest : public testing::Test {
 protected:
  FdStoreTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ours_ = UniqueFd::adopt(ends[0]);
    handed_ = UniqueFd::adopt(ends[1]);
  }
  void start(const ManagerOptions& options = {}) {
    manager_.emplace(options);
    environment_.emplace(manager_->environment());
  }
  Done give(std::string_view state = "state") const {
    const int fd = handed_.get();
    return give_to_systemd(state, std::span(&fd, 1));
  }
  Result<std::optional<Parcel>> take() const { return take_from_systemd(inherited(*manager_)); }
  // Whether the other end of ours is open somewhere.
  bool is_open() const {
    char byte = 0;
    return ::recv(ours_.get(), &byte, 1, MSG_DONTWAIT) != 0;
  }

  UniqueFd ours_, handed_;
  std::optional<ServiceManager> manager_;
  std::optional<EnvironmentGuard> environment_;
};

TEST_F(FdStoreTest, KeepsAParcelUntilItIsForgotten) {
  start();
  const auto given = give();
  ASSERT_TRUE(given.ok()) << given.error().message();
  handed_.reset();
  EXPECT_THAT(manager_->stored_names(), UnorderedElementsAre("hostcall-state", "hostcall-carrier"));
  EXPECT_TRUE(is_open());
  {
    const auto taken = take();
    ASSERT_EQ(error_of(taken), "none");
    ASSERT_TRUE((*taken).has_value());
    EXPECT_EQ((*taken)->state, "state");
    ASSERT_EQ((*taken)->descriptors.size(), 1U);
    EXPECT_EQ(::write((*taken)->descriptors[0].get(), "x", 1), 1);
    char byte = 0;
    EXPECT_EQ(::recv(ours_.get(), &byte, 1, MSG_DONTWAIT), 1);
  }
  EXPECT_TRUE(is_open()) << "that process has crashed";
  EXPECT_EQ(error_of(take()), "none");
  EXPECT_EQ(error_of(take()), dropped("two daemons have failed to restore it"));
  EXPECT_TRUE(forget_at_systemd().ok());
  EXPECT_TRUE(manager_->stored_names().empty());
  EXPECT_FALSE(is_open());
  const auto nothing = take();
  ASSERT_EQ(error_of(nothing), "none");
  EXPECT_FALSE((*nothing).has_value());
}

TEST_F(FdStoreTest, TheLastParcelCounts) {
  start();
  ASSERT_TRUE(give("first").ok());
  ASSERT_TRUE(give("second").ok());
  const auto taken = take();
  ASSERT_EQ(error_of(taken), "none");
  EXPECT_EQ((*taken)->state, "second");
}

TEST_F(FdStoreTest, CarriesNothingAtAll) {
  start();
  ASSERT_TRUE(give_to_systemd("", {}).ok());
  const auto taken = take();
  ASSERT_EQ(error_of(taken), "none");
  EXPECT_TRUE((*taken).has_value() && (*taken)->descriptors.empty());
}

// Nothing of the parcel is left there, and the daemon still has its descriptors.
TEST_F(FdStoreTest, TellsThatSystemdKeepsNothing) {
  for (const std::size_t most : {0U, 1U}) {
    start({.fd_store_max = most});
    EXPECT_EQ(give().error().message(),
              "systemd keeps no descriptors of this unit; set FileDescriptorStoreMax= of hostcalld.service");
    EXPECT_TRUE(is_open());
    EXPECT_TRUE(forget_at_systemd().ok()) << "all before this was handled";
    EXPECT_TRUE(manager_->stored_names().empty());
  }
}

TEST_F(FdStoreTest, TellsThatSystemdDoesNotAnswer) {
  start({.hangs = true});
  EXPECT_EQ(give().error().message(), "wait for systemd: Connection timed out");
  EXPECT_TRUE(is_open());
}

TEST_F(FdStoreTest, WithoutSystemdThereIsNoStore) {
  EXPECT_THAT(give().error().message(), HasSubstr("$NOTIFY_SOCKET is not set"));
  EXPECT_TRUE(forget_at_systemd().ok());
  const auto nothing = take_from_systemd({});
  ASSERT_EQ(error_of(nothing), "none");
  EXPECT_FALSE((*nothing).has_value());
}

// What is closed or was never open.
TEST_F(FdStoreTest, CarriesOnlyOpenDescriptors) {
  start();
  const int closed = -1;
  EXPECT_EQ(give_to_systemd("state", std::span(&closed, 1)).error().message(),
            "hand over descriptors: Bad file descriptor");
  EXPECT_TRUE(manager_->stored_names().empty());
}

TEST_F(FdStoreTest, NeedsOneOfEach) {
  start();
  ASSERT_TRUE(give().ok());
  auto all = inherited(*manager_);
  StoredDescriptors only_state, only_carrier, twice = inherited(*manager_);
  only_state.states = std::move(all.states);
  only_carrier.carriers = std::move(all.carriers);
  for (auto& more : inherited(*manager_).carriers) twice.carriers.push_back(std::move(more));
  EXPECT_EQ(error_of(take_from_systemd(std::move(only_state))), dropped("the carrier is missing"));
  EXPECT_EQ(error_of(take_from_systemd(std::move(only_carrier))), dropped("the state is missing"));
  EXPECT_EQ(error_of(take_from_systemd(std::move(twice))), dropped("systemd has kept two of them"));
  EXPECT_EQ(error_of(take()), "none") << "none of these was an attempt";
}

TEST_F(FdStoreTest, RefusesAnotherStatesCarrier) {
  const int fd = handed_.get();
  const auto with = [&](const WrittenState& state, std::size_t carried, std::uint32_t checksum) {
    const std::vector<int> numbers(carried, fd);
    auto carrier = load_carrier(checksum, numbers);
    StoredDescriptors stored;
    stored.states.push_back(UniqueFd::adopt(::fcntl(state.file.get(), F_DUPFD_CLOEXEC, 3)));
    stored.carriers.push_back(std::move(carrier->receiving));
    return error_of(take_from_systemd(std::move(stored)));
  };
  const auto state = write_state("state", 2);
  EXPECT_EQ(with(*state, 2, state->checksum), "none");
  EXPECT_EQ(with(*state, 2, state->checksum + 1), dropped("the carrier belongs to another state"));
  EXPECT_EQ(with(*state, 1, state->checksum), dropped("the carrier holds 1 descriptor instead of 2"));
  EXPECT_EQ(with(*state, 3, state->checksum), dropped("the carrier holds more than 2 descriptors"));
}

}  // namespace
}  // namespace hostcall::daemon
