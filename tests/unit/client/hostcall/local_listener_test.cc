// Where `hostcall forward` listens: its own user's sockets and loopback ports only.
#include "client/hostcall/local_listener.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "tests/support/temp_dir.h"

namespace hostcall::cli::guest {
namespace {

using test::TempDir;

LocalAddress address_of(const std::string& text) { return LocalAddress::parse(text).value(); }

bool exists(const std::string& path) { return std::filesystem::exists(path); }

TEST(LocalAddress, HasThreeForms) {
  for (const auto* text : {"unix:/run/a.sock", "tcp:127.0.0.1:5000", "tcp:[::1]:0", "tcp:127.0.0.1:65535"})
    EXPECT_EQ(address_of(text).to_string(), text);
}

TEST(LocalAddress, RefusesWhatOthersCouldReach) {
  for (const auto* text : {"", "unix:", "unix:relative", "unix:@abstract", "tcp:0.0.0.0:5000", "tcp:5000",
                           "tcp:127.0.0.1:", "tcp:127.0.0.1:65536", "tcp:127.0.0.1:-1", "tcp:127.0.0.1:5000 ",
                           "tcp:[::]:5000", "tcp:localhost:5000", "vsock:2:5000", "/run/a.sock"})
    EXPECT_FALSE(LocalAddress::parse(text).ok()) << text;
}

TEST(LocalListener, ItsFileIsForItsUserAloneAndGoesWithIt) {
  const TempDir directory;
  const auto path = directory / "a.sock";
  {
    const auto listener = LocalListener::listen(address_of("unix:" + path));
    ASSERT_TRUE(listener.ok()) << listener.error().message();
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U);
    EXPECT_TRUE(S_ISSOCK(status.st_mode));
  }
  EXPECT_FALSE(exists(path));
}

TEST(LocalListener, ReplacesAStaleFileButNoneThatServes) {
  const TempDir directory;
  const auto address = address_of("unix:" + (directory / "a.sock"));
  const int stale = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  address.path.copy(name.sun_path, sizeof name.sun_path - 1);
  ASSERT_EQ(::bind(stale, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  ::close(stale);
  const auto listener = LocalListener::listen(address);
  ASSERT_TRUE(listener.ok()) << listener.error().message();
  EXPECT_FALSE(LocalListener::listen(address).ok());
  directory.write("file", "");
  EXPECT_FALSE(LocalListener::listen(address_of("unix:" + (directory / "file"))).ok());
}

TEST(LocalListener, RemovesNoOthersFile) {
  const TempDir directory;
  const auto path = directory / "a.sock";
  {
    auto first = std::make_unique<LocalListener>(LocalListener::listen(address_of("unix:" + path)).value());
    std::filesystem::remove(path);
    const auto second = LocalListener::listen(address_of("unix:" + path));
    ASSERT_TRUE(second.ok());
    first.reset();
    EXPECT_TRUE(exists(path)) << "it is the second one's";
  }
  EXPECT_FALSE(exists(path));
}

TEST(LocalListener, WantsADirectoryInWhichNobodyElseCanReplaceIt) {
  const TempDir directory;
  const auto shared = directory / "shared";
  std::filesystem::create_directory(shared);
  const auto address = address_of("unix:" + shared + "/a.sock");
  ::chmod(shared.c_str(), 0777);
  EXPECT_FALSE(LocalListener::listen(address).ok());
  ::chmod(shared.c_str(), 0770);
  EXPECT_FALSE(LocalListener::listen(address).ok());
  ::chmod(shared.c_str(), 01777);
  EXPECT_TRUE(LocalListener::listen(address).ok()) << "as /tmp";
  EXPECT_FALSE(LocalListener::listen(address_of("unix:" + (directory / "none/a.sock"))).ok());
}

TEST(LocalListener, ATcpPortIsTheKernelsOrAChosenOne) {
  const auto listener = LocalListener::listen(address_of("tcp:127.0.0.1:0"));
  ASSERT_TRUE(listener.ok()) << listener.error().message();
  const auto chosen = listener->address();
  EXPECT_NE(chosen.port, 0);
  EXPECT_FALSE(LocalListener::listen(chosen).ok()) << "it is taken";
  sockaddr_in bound{};
  socklen_t length = sizeof bound;
  ASSERT_EQ(::getsockname(listener->fd(), reinterpret_cast<sockaddr*>(&bound), &length), 0);
  EXPECT_EQ(ntohl(bound.sin_addr.s_addr), INADDR_LOOPBACK);
}

}  // namespace
}  // namespace hostcall::cli::guest
