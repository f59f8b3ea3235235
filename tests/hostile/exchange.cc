#include "tests/hostile/exchange.h"

#include <poll.h>

#include <algorithm>
#include <iterator>
#include <sstream>
#include <vector>

#include "tests/hostile/calls.h"
#include "tests/hostile/raw_peer.h"
#include "tests/support/patience.h"

namespace hostcall::test {
namespace {

// Only a wrong answer takes so long.
constexpr auto kWait = kPatience / 9;

using As = Exchange::As;

// The last call that a connection can make: its answer shows that all before it were looked at.
constexpr std::uint32_t kLastStream = 0xffffffff;

std::vector<std::string> words_in(const std::string& text) {
  std::istringstream words(text);
  return {std::istream_iterator<std::string>(words), {}};
}

std::string joined(std::vector<std::string> words) {
  std::ranges::sort(words);
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string expected_reply(const Exchange& exchange, As as) {
  auto words = words_in(exchange.reply);
  if (std::erase(words, kViolation) == 0) return joined(words);
  words.push_back(kClosed);
  if (as != As::kBase) words.push_back("Goaway1");
  return joined(words);
}

constexpr auto kUnchecked = wire::kAllFeatures & ~wire::kFeatureCrc32c;

std::string probe(As as) {
  const auto bytes = call(kLastStream, "Session/Ping");
  return as == As::kChecked ? checked(bytes) : bytes;
}

// One connection from its begin to its end.
class Talk {
 public:
  Talk(const std::string& socket_path, As as) : peer_(socket_path), as_(as), awaits_hello_(as != As::kBase) {
    if (as == As::kChecked) peer_.expect_checksums();
    if (as != As::kBase) peer_.queue(hello_call(as == As::kChecked ? wire::kAllFeatures : kUnchecked));
  }

  // All words, until the connection ends, or the probe is answered and as much has come as is expected.
  std::string run(const std::string& bytes, const std::string& expected) {
    const auto count = words_in(expected).size();
    peer_.queue(bytes);
    is_probed_ = expected.find(kClosed) == std::string::npos;
    if (is_probed_) peer_.queue(probe(as_));
    const auto end = std::chrono::steady_clock::now() + kWait;
    while (peer_.is_open() && !(answered_ && words_.size() >= count) && std::chrono::steady_clock::now() < end) pump();
    if (!peer_.is_open()) words_.push_back(kClosed);
    return joined(words_);
  }

 private:
  void pump() {
    peer_.flush();
    pollfd ready{peer_.fd(), static_cast<short>(POLLIN | (peer_.has_unsent() ? POLLOUT : 0)), 0};
    constexpr int kSliceMs = 100;
    if (::poll(&ready, 1, kSliceMs) <= 0 || (ready.revents & ~POLLOUT) == 0) return;
    peer_.receive([&](const wire::Frame& frame) { take(frame); });
  }
  // When the daemon sends Window and Ping is its own affair.
  void take(const wire::Frame& frame) {
    const auto word = word_of(frame);
    if (awaits_hello_) {
      EXPECT_EQ(word, "OK") << "Hello";
      awaits_hello_ = false;
    } else if (is_probed_ && frame.header.stream == kLastStream && word == "OK") {
      answered_ = true;
    } else if (word != "Window" && word != "Ping") {
      words_.push_back(word);
    }
  }

  RawPeer peer_;
  const As as_;
  bool awaits_hello_, is_probed_ = false, answered_ = false;
  std::vector<std::string> words_;
};

}  // namespace

std::string times(std::size_t count, const std::string& word) {
  return repeated(count, [&](std::size_t) { return word + " "; });
}

std::unique_ptr<DaemonProcess> Exchanges::daemon_;
std::unique_ptr<Monitor> Exchanges::monitor_;
std::unique_ptr<WireClient> Exchanges::neighbour_;

void Exchanges::SetUpTestSuite() {
  daemon_ = std::make_unique<DaemonProcess>(
      DaemonOptions{.config_json = R"("limits": {"connect_rate": 10000, "connect_burst": 10000})"});
  monitor_ = std::make_unique<Monitor>(*daemon_, "web1");
  neighbour_ = std::make_unique<WireClient>(daemon_->vm_address("db1"));
}

void Exchanges::TearDownTestSuite() {
  neighbour_.reset();
  monitor_.reset();
  EXPECT_EQ(daemon_->stop(), 0) << daemon_->process().errors();
  daemon_.reset();
}

void Exchanges::exchange(As as) {
  const auto expected = expected_reply(GetParam(), as);
  EXPECT_EQ(Talk(daemon_->vm_path("web1"), as).run(GetParam().bytes, expected), expected)
      << (as == As::kBase ? "base" : "extended");
  EXPECT_TRUE(neighbour_->call("hostcall.v1.Session/Ping").status.ok());
  Charges left;
  EXPECT_TRUE(eventually([&] { return (left = monitor_->charges()).are_given_back(); }))
      << left.bytes << " bytes, " << left.streams << " calls, " << left.watches << " watches";
}

TEST_P(Exchanges, AreAnsweredAsTheProtocolSays) {
  if (GetParam().as == As::kBoth) exchange(As::kBase);
  exchange(GetParam().as == As::kBoth ? As::kExtended : GetParam().as);
  auto& process = daemon_->process();
  EXPECT_TRUE(process.wait_for_error_text(GetParam().journal, kWait)) << process.errors();
}

}  // namespace hostcall::test
