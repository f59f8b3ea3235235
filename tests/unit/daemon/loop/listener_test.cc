// The listener: real sockets; what would spoil the process for others (no descriptors left) in a child.
#include "daemon/loop/listener.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "tests/support/temp_dir.h"

namespace hostcall::daemon {
namespace {

using net::unix_address;

// Keeps the connections that were accepted.
struct Collector final : Acceptor {
  void accepted(UniqueFd fd, const Listener& listener) override {
    connections.push_back(std::move(fd));
    name = *listener.name();
    if (stop_after == connections.size()) stopping->stop();
  }
  void accept_failed(const Error& error, const Listener&) override { failures.push_back(error.code); }

  UniqueFd& spare_descriptor() override { return spare; }

  UniqueFd spare = open_spare();
  std::vector<UniqueFd> connections;
  std::vector<int> failures;
  std::string name;
  Listener* stopping = nullptr;
  std::size_t stop_after = 0;
};

class ListenerTest : public testing::Test {
 protected:
  std::unique_ptr<Listener> listen(const std::string& path, bool inherited = false) {
    auto fd = net::listen(unix_address(path));
    EXPECT_TRUE(fd.ok());
    auto listener = std::make_unique<Listener>(*reactor_, static_cast<Acceptor&>(collector_), std::move(*fd),
                                               unix_address(path), inherited);
    EXPECT_TRUE(listener->start().ok());
    return listener;
  }
  UniqueFd connect() const {
    auto fd = net::start_connect(unix_address(path_), seconds(1));
    return fd.ok() ? std::move(*fd) : UniqueFd();
  }
  // Whether the other end is closed.
  static bool is_closed(const UniqueFd& fd) {
    char byte;
    return ::recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }

  hostcall::test::TempDir directory_;
  const std::string path_ = directory_ / "l.sock";
  std::optional<Reactor> reactor_{std::in_place};
  Collector collector_;
};

TEST_F(ListenerTest, AcceptsAllThatWaits) {
  const auto listener = listen(path_);
  EXPECT_EQ(listener->address().path, path_);
  EXPECT_FALSE(listener->inherited());
  std::vector<UniqueFd> peers;
  for (int i = 0; i < 200; ++i) peers.push_back(connect());  // more than a turn's
  reactor_->run_ready();
  EXPECT_EQ(collector_.connections.size(), 200u);
  EXPECT_EQ(collector_.name, "unix:" + path_);
  EXPECT_TRUE(collector_.failures.empty());
  for (const auto& fd : collector_.connections) EXPECT_NE(::fcntl(fd.get(), F_GETFL) & O_NONBLOCK, 0);
  ASSERT_EQ(::write(peers[7].get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(collector_.connections[7].get(), &byte, 1), 1) << "in the order in which they came";
  peers.push_back(connect());
  reactor_->run_ready();
  EXPECT_EQ(collector_.connections.size(), 201u);
}

TEST_F(ListenerTest, AfterStopPeersWait) {
  const auto listener = listen(path_);
  listener->stop();
  listener->stop();
  const auto peer = connect();
  ASSERT_TRUE(peer) << "the backlog takes it";
  reactor_->run_ready();
  EXPECT_TRUE(collector_.connections.empty());
  EXPECT_FALSE(is_closed(peer));
  ASSERT_TRUE(listener->start().ok());
  reactor_->run_ready();
  EXPECT_EQ(collector_.connections.size(), 1u);
}

TEST_F(ListenerTest, StopsInTheMiddleOfATurn) {
  const auto listener = listen(path_);
  collector_.stopping = listener.get();
  collector_.stop_after = 2;
  const UniqueFd peers[] = {connect(), connect(), connect()};
  reactor_->run_ready();
  EXPECT_EQ(collector_.connections.size(), 2u);
}

TEST_F(ListenerTest, CloseFreesThePath) {
  const auto listener = listen(path_);
  ASSERT_TRUE(std::filesystem::exists(path_));
  listener->close();
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_FALSE(connect());
  const auto other = listen(path_);
  listener->close();
  EXPECT_TRUE(std::filesystem::exists(path_)) << "it is the other's now";
}

TEST_F(ListenerTest, CloseRemovesNothingThatIsNotItsOwn) {
  auto listener = listen(path_);
  EXPECT_TRUE(listener->has_its_file());
  std::filesystem::remove(path_);
  EXPECT_FALSE(listener->has_its_file());
  const auto other = net::listen(unix_address(path_));
  ASSERT_TRUE(other.ok());
  EXPECT_FALSE(listener->has_its_file()) << "it is another program's";
  listener->close();
  EXPECT_TRUE(std::filesystem::is_socket(path_));
  std::filesystem::remove(path_);
  listener = listen(path_);
  std::filesystem::rename(path_, path_ + ".moved");
  directory_.write("l.sock", "somebody's");
  listener.reset();
  EXPECT_TRUE(std::filesystem::is_regular_file(path_));
}

TEST_F(ListenerTest, ItsEndFreesThePath) {
  { const auto listener = listen(path_); }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ListenerTest, ThePathOfAnInheritedSocketStays) {
  { const auto listener = listen(path_, true); }
  EXPECT_TRUE(std::filesystem::exists(path_)) << "systemd listens on";
}

TEST_F(ListenerTest, AnAbstractNameIsNoFile) {
  const std::string name = "@hc-test-" + std::to_string(::getpid());
  const auto file = directory_.write(name, "not a socket");
  std::filesystem::current_path(directory_.path());
  { const auto listener = listen(name); }
  std::filesystem::current_path("/");
  EXPECT_TRUE(std::filesystem::exists(file));
}

// ---------------------------------------------------------------- without descriptors

// Ends the child with a text that the parent looks for.
void require(bool so, const char* what) {
  if (so) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::exit(1);
}

// Takes the descriptors that are left but the last few.
std::vector<UniqueFd> take_all_descriptors() {
  const rlimit few{256, 256};
  require(::setrlimit(RLIMIT_NOFILE, &few) == 0, "setrlimit");
  std::vector<UniqueFd> taken;
  for (;;) {
    auto fd = UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!fd) return taken;
    taken.push_back(std::move(fd));
  }
}

TEST_F(ListenerTest, ShedsPeersWhenDescriptorsRunOut) {
  const auto in_child = [this] {
    reactor_.emplace();  // sd-event's is the parent's
    const auto listener = listen(path_);
    std::vector<UniqueFd> peers;
    for (int i = 0; i < 3; ++i) peers.push_back(connect());
    auto taken = take_all_descriptors();
    reactor_->run_ready();
    require(collector_.connections.empty(), "nobody gets in");
    require(collector_.failures == std::vector<int>{EMFILE, EMFILE, EMFILE}, "each failure is told");
    for (const auto& peer : peers) require(is_closed(peer), "nobody waits");
    require(::open("/dev/null", O_RDONLY) < 0, "the spare is taken again");
    taken.clear();
    const auto late = connect();
    reactor_->run_ready();
    require(collector_.connections.size() == 1, "with descriptors it goes on");
    require(collector_.failures.size() == 3, "and nothing fails");
    std::exit(0);
  };
  EXPECT_EXIT(in_child(), testing::ExitedWithCode(0), "");
}

// Two that are flooded use up each turn; the third must not wait until they are empty.
TEST_F(ListenerTest, FloodedOnesTakeTurnsWithTheOthers) {
  struct Order final : Acceptor {
    void accepted(UniqueFd, const Listener& listener) override { names.push_back(*listener.name()); }
    void accept_failed(const Error& error, const Listener&) override { ADD_FAILURE() << error.message(); }
    UniqueFd& spare_descriptor() override { return spare; }
    std::vector<std::string> names;
    UniqueFd spare;
  } order;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::vector<UniqueFd> peers;
  for (const auto& [name, connections] : {std::pair("a", 300), std::pair("b", 300), std::pair("c", 1)}) {
    const auto address = unix_address(directory_ / name);
    listeners.push_back(std::make_unique<Listener>(*reactor_, order, std::move(*net::listen(address)), address, false));
    for (int i = 0; i < connections; ++i) peers.push_back(std::move(*net::start_connect(address, seconds(1))));
    ASSERT_TRUE(listeners.back()->start().ok());
  }
  reactor_->run_ready();
  ASSERT_EQ(order.names.size(), 601u);
  const auto third = std::ranges::find(order.names, *listeners[2]->name());
  EXPECT_LT(third - order.names.begin(), 100);
}

}  // namespace
}  // namespace hostcall::daemon
