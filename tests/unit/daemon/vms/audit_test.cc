// The audit: each record while a caller behaves, a count when it does not; nobody's flood hides another's record.
#include "daemon/vms/audit.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "proto/base/unique_fd.h"

namespace hostcall::daemon {
namespace {

constexpr TimePoint kStart{seconds(1000)};

// A journal on a pipe.
class AuditTest : public testing::Test {
 protected:
  AuditTest() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    read_ = UniqueFd::adopt(ends[0]);
    write_ = UniqueFd::adopt(ends[1]);
    ::fcntl(write_.get(), F_SETPIPE_SZ, 1024 * 1024);
    journal_.emplace(Journal::Options{.stderr_fd = write_.get()});
    audit_.emplace(*journal_);
  }
  std::string written() {
    std::string text;
    char buffer[65536];
    for (ssize_t got; (got = ::read(read_.get(), buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<std::size_t>(got));
    return text;
  }
  static Caller caller(const std::string& name) {
    VmRecord record;
    record.name = name;
    Caller made;
    made.vm = std::make_shared<Vm>(record, "test", 1, Limits{});
    made.listener = std::make_shared<std::string>("unix:/run/" + name);
    return made;
  }
  static std::size_t lines(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  UniqueFd read_, write_;
  std::optional<Journal> journal_;
  std::optional<Audit> audit_;
};

TEST_F(AuditTest, CountsWhatIsOverACallersBudget) {
  const auto noisy = caller("noisy1"), quiet = caller("quiet1");
  for (int i = 0; i < 1000; ++i) audit_->limit_reached(noisy, "too much", kStart);
  EXPECT_EQ(lines(written()), 200U);
  audit_->call_denied(quiet, "a.B/C", {}, "denied text", kStart);
  EXPECT_NE(written().find("denied text"), std::string::npos) << "another's flood does not hide it";
  audit_->flush(kStart + seconds(5));
  const auto report = written();
  EXPECT_NE(report.find("800 more records"), std::string::npos) << report;
  EXPECT_NE(report.find("noisy1"), std::string::npos) << report;
  audit_->flush(kStart + seconds(5));
  EXPECT_EQ(written(), "") << "reported once";
}

TEST_F(AuditTest, UnknownCallersAreToldApartByCidUpToABound) {
  Caller stranger;
  stranger.peer.family = net::Address::Family::kVsock;
  stranger.listener = std::make_shared<std::string>("vsock::18499");
  for (std::uint32_t cid = 3; cid < 10'000; ++cid) {
    stranger.peer.cid = cid;
    audit_->caller_refused(stranger, "who are you", kStart);
    if (cid % 500 == 0) written();
  }
  audit_->flush(kStart);
  EXPECT_NE(written().find("other callers"), std::string::npos) << "beyond the bound they share one budget";
}

}  // namespace
}  // namespace hostcall::daemon
