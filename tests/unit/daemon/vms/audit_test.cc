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
  for (int i = 0; i < 1000; ++i) audit_->limit_reached(noisy, "too much " + std::to_string(i), kStart);
  EXPECT_EQ(lines(written()), 203U) << "its own share, and its part of everybody's";
  audit_->call_denied(quiet, "a.B/C", {}, "denied text", kStart);
  EXPECT_NE(written().find("denied text"), std::string::npos) << "another's flood does not hide it";
  audit_->flush(kStart + seconds(5));
  const auto report = written();
  EXPECT_NE(report.find("797 more records"), std::string::npos) << report;
  EXPECT_NE(report.find("noisy1"), std::string::npos) << report;
  audit_->flush(kStart + seconds(5));
  EXPECT_EQ(written(), "") << "reported once";
}

TEST_F(AuditTest, CallsHaveABudgetOfTheirOwn) {
  const auto web = caller("web1"), db = caller("db1");
  for (int i = 0; i < 1000; ++i)
    audit_->call_made(web, {.call = "a.B/C", .resource = {}, .rule = "p.json:1", .outcome = "OK", .began = kStart},
                      kStart);
  EXPECT_EQ(lines(written()), 110U) << "each of them, even if they are equal";
  CallRecord program{.call = "a.B/Run", .resource = {}, .rule = "p.json:1", .outcome = "OK", .began = kStart};
  program.is_program = true;
  audit_->call_made(web, program, kStart);
  EXPECT_EQ(lines(written()), 1U) << "nor do other calls hide a program";
  audit_->call_denied(web, "a.B/C", {}, "denied text", kStart);
  audit_->call_made(db, {.call = "a.B/C", .resource = "x", .rule = "p.json:1", .outcome = "NOT_FOUND", .began = kStart},
                    kStart + milliseconds(12));
  EXPECT_EQ(written(), "denied text\nVM \"db1\" called a.B/C for \"x\": NOT_FOUND, after 12 ms\n");
  audit_->flush(kStart + seconds(5));
  EXPECT_EQ(written(), "890 more calls of web1 were made, but not recorded: they are too many\n");
}

TEST_F(AuditTest, EqualRecordsAreWrittenOnceAndThenCounted) {
  const auto web = caller("web1"), db = caller("db1");
  auto now = kStart;
  for (int i = 0; i < 60; ++i, now += seconds(1)) {
    audit_->call_denied(web, "a.B/C", {}, "denied text", now);
    audit_->flush(now);
  }
  EXPECT_EQ(lines(written()), 1U);
  audit_->call_denied(db, "a.B/C", {}, "denied text", now);
  audit_->call_denied(web, "a.B/D", {}, "another text", now);
  EXPECT_EQ(lines(written()), 2U) << "another VM's, and another one";
  audit_->flush(now);
  EXPECT_EQ(written(), "denied text (59 more times within 60 s)\n");
  audit_->call_denied(web, "a.B/C", {}, "denied text", now);
  audit_->flush(now + seconds(599));
  EXPECT_EQ(written(), "") << "what goes on is reported less often";
  audit_->flush(now + seconds(600));
  EXPECT_EQ(written(), "denied text (1 more times within 600 s)\n");
  audit_->flush(now + seconds(1200));
  audit_->call_denied(web, "a.B/C", {}, "denied text", now + seconds(1200));
  EXPECT_EQ(written(), "denied text\n") << "after some quiet it is news again";
}

TEST_F(AuditTest, WhatDiffersOnlyInTheWaitIsEqual) {
  const auto web = caller("web1");
  for (int i = 1; i < 100; ++i)
    audit_->limit_reached(web, "over the rate; retry in " + std::to_string(i) + " ms", kStart);
  EXPECT_EQ(lines(written()), 1U);
}

TEST_F(AuditTest, ItsEndReportsWhatWasOnlyCounted) {
  const auto web = caller("web1");
  for (int i = 0; i < 20; ++i) audit_->call_denied(web, "a.B/C", {}, "denied text", kStart);
  for (int i = 0; i < 1000; ++i) audit_->limit_reached(web, "text " + std::to_string(i), kStart);
  written();
  audit_.reset();
  const auto report = written();
  EXPECT_NE(report.find("denied text (19 more times"), std::string::npos) << report;
  EXPECT_NE(report.find(" more records about web1 were dropped"), std::string::npos) << report;
}

// How much a hundred VMs write in an hour, one record each second: at first, and then as they go on.
class AuditOfManyTest : public AuditTest {
 protected:
  // The bytes of the second hour. text(VM, second).
  template <class Text>
  std::size_t hourly_bytes(Text text) {
    std::vector<Caller> callers;
    for (int i = 0; i < 100; ++i) callers.push_back(caller("vm" + std::to_string(i)));
    std::size_t bytes = 0;
    for (int second = 0; second < 7200; ++second) {
      const auto now = kStart + seconds(second);
      for (std::size_t i = 0; i < callers.size(); ++i)
        audit_->call_denied(callers[i], "a.B/C", {}, text(i, second), now);
      if (second % 5 == 0) audit_->flush(now);
      const auto now_written = written().size();
      if (second >= 3600) bytes += now_written;
    }
    return bytes;
  }
  static constexpr std::size_t kTextBytes = 165;
  static constexpr std::size_t kAllBytes = 100 * 3600 * kTextBytes;  // if each were written
};

TEST_F(AuditOfManyTest, EqualDenialsTakeNextToNothing) {
  const auto bytes = hourly_bytes([](std::size_t, int) { return std::string(kTextBytes, 'd'); });
  EXPECT_LT(bytes * 100, kAllBytes) << bytes;
}

TEST_F(AuditOfManyTest, DifferentOnesShareOneBudget) {
  const auto bytes = hourly_bytes([](std::size_t vm, int second) {
    return std::string(kTextBytes - 20, 'd') + std::to_string(vm) + " " + std::to_string(second);
  });
  EXPECT_LT(bytes * 5, kAllBytes) << bytes;
}

// A few callers who write all that they may hide nobody.
TEST_F(AuditOfManyTest, WhatRepeatsIsReportedHoweverMuchOthersWrite) {
  std::vector<Caller> noisy;
  for (int i = 0; i < 30; ++i) noisy.push_back(caller("noisy" + std::to_string(i)));
  const auto attacker = caller("zz");
  std::string all;
  for (int second = 0; second < 3600; ++second) {
    const auto now = kStart + seconds(second);
    for (auto& each : noisy)
      for (int i = 0; i < 5; ++i)
        audit_->limit_reached(each, "text " + std::to_string(second) + "." + std::to_string(i), now);
    if (second > 600) audit_->violation(attacker, "a guess", now);
    if (second % 5 == 0) audit_->flush(now);
    all += written();
  }
  EXPECT_NE(all.find("VM \"zz\" broke the protocol, connection closed: a guess ("), std::string::npos)
      << "how often it has repeated";
  for (int i = 0; i < 30; ++i)
    EXPECT_NE(all.find("more records about noisy" + std::to_string(i) + " were dropped"), std::string::npos) << i;
}

TEST_F(AuditTest, UnknownCallersAreToldApartByCidUpToABound) {
  Caller stranger;
  stranger.peer.family = net::Address::Family::kVsock;
  stranger.listener = std::make_shared<std::string>("vsock::18499");
  for (std::uint32_t cid = 3; cid < 10'000; ++cid) {
    stranger.peer.cid = cid;
    audit_->caller_refused(stranger, "who is CID " + std::to_string(cid), kStart);
    if (cid % 500 == 0) written();
  }
  audit_->flush(kStart);
  EXPECT_NE(written().find("other callers"), std::string::npos) << "beyond the bound they share one budget";
}

}  // namespace
}  // namespace hostcall::daemon
