// The journal: records on a real datagram socket and a real pipe, and that neither can ever make it wait.
#include "daemon/loop/journal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>

#include "tests/support/contents.h"
#include "tests/support/temp_dir.h"

namespace hostcall::daemon {
namespace {

using ::testing::HasSubstr;

constexpr MessageId kAllMessages[] = {
    MessageId::kStarted,       MessageId::kStopping,       MessageId::kReloaded,    MessageId::kReloadFailed,
    MessageId::kPolicyWarning, MessageId::kVmAdded,        MessageId::kVmRemoved,   MessageId::kSessionOpened,
    MessageId::kSessionClosed, MessageId::kCallerRefused,  MessageId::kCallDenied,  MessageId::kCallMade,
    MessageId::kLimitReached,  MessageId::kViolation,      MessageId::kPeerLost,    MessageId::kRecordsLost,
    MessageId::kStoreDiskFull, MessageId::kStoreRecovered, MessageId::kStoreFailed, MessageId::kSystemError,
    MessageId::kVmChanged,     MessageId::kAdminAction};

// An environment variable for the time of a test; null: not set.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    set(value);
  }
  ~Environment() { set(old_ ? old_->c_str() : nullptr); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  void set(const char* value) { value == nullptr ? ::unsetenv(name_) : ::setenv(name_, value, 1); }
  const char* name_;
  std::optional<std::string> old_;
};

// In the place of journald.
class Collector {
 public:
  explicit Collector(const std::string& path) : fd_(UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0))) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  // The next record as it came; empty: none.
  std::string next_raw() {
    std::array<char, 65536> buffer;
    const auto bytes = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    return bytes < 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(bytes));
  }
  // The next record's fields.
  std::map<std::string, std::string> next() {
    std::map<std::string, std::string> fields;
    std::istringstream lines(next_raw());
    for (std::string line; std::getline(lines, line);) {
      const auto equals = line.find('=');
      EXPECT_NE(equals, std::string::npos) << line;
      EXPECT_TRUE(fields.emplace(line.substr(0, equals), line.substr(equals + 1)).second) << line << " is there twice";
    }
    return fields;
  }

 private:
  UniqueFd fd_;
};

class JournalSocket : public ::testing::Test {
 protected:
  Journal journal(Level level = Level::kInfo) {
    return Journal({.level = level, .socket_path = path_, .to_journal = true, .stderr_fd = -1});
  }
  test::TempDir dir_;
  std::string path_ = dir_ / "socket";
};

TEST_F(JournalSocket, ARecordHasItsFields) {
  Collector collector(path_);
  journal().write(Level::kWarning, MessageId::kCallDenied, "no", {{"VM", "web1"}, {"CALL", "a.B/C"}});
  const std::map<std::string, std::string> expected = {{"MESSAGE", "no"},
                                                       {"PRIORITY", "4"},
                                                       {"MESSAGE_ID", Journal::message_id(MessageId::kCallDenied)},
                                                       {"SYSLOG_IDENTIFIER", "hostcalld"},
                                                       {"SYSLOG_FACILITY", "3"},
                                                       {"HOSTCALL_VM", "web1"},
                                                       {"HOSTCALL_CALL", "a.B/C"}};
  EXPECT_EQ(collector.next(), expected);
}

TEST_F(JournalSocket, GuestTextCannotForgeFields) {
  Collector collector(path_);
  journal().write(Level::kInfo, MessageId::kSessionOpened, "x\nPRIORITY=0", {{"CLIENT", "evil\nHOSTCALL_VM=other\n"}});
  const auto record = collector.next();
  EXPECT_EQ(record.at("MESSAGE"), "x\\x0aPRIORITY=0");
  EXPECT_EQ(record.at("PRIORITY"), "6");
  EXPECT_EQ(record.at("HOSTCALL_CLIENT"), "evil\\x0aHOSTCALL_VM=other\\x0a");
  EXPECT_FALSE(record.contains("HOSTCALL_VM"));
}

TEST_F(JournalSocket, LongTextIsCut) {
  Collector collector(path_);
  journal().write(Level::kInfo, MessageId::kSessionOpened, std::string(100000, 'm'),
                  {{"CLIENT", std::string(100000, 'c')}});
  const auto record = collector.next();
  EXPECT_EQ(record.at("MESSAGE"), std::string(1024, 'm') + "...");
  EXPECT_EQ(record.at("HOSTCALL_CLIENT"), std::string(512, 'c') + "...");
}

TEST_F(JournalSocket, TheLevelHoldsBackWhatIsLessImportant) {
  Collector collector(path_);
  auto log = journal(Level::kNotice);
  log.write(Level::kInfo, MessageId::kVmAdded, "unimportant");
  EXPECT_EQ(collector.next_raw(), "");
  log.write(Level::kNotice, MessageId::kVmAdded, "important");
  EXPECT_EQ(collector.next().at("MESSAGE"), "important");
  log.set_level(Level::kDebug);
  log.write(Level::kDebug, MessageId::kVmAdded, "detail");
  EXPECT_EQ(collector.next().at("MESSAGE"), "detail");
  EXPECT_EQ(log.lost(), 0u);
}

TEST_F(JournalSocket, LostRecordsAreCountedAndReportedWhenTheJournalIsBack) {
  auto log = journal();
  for (int i = 0; i < 3; ++i) log.write(Level::kInfo, MessageId::kVmAdded, "nobody is there");
  EXPECT_EQ(log.lost(), 3u);
  Collector collector(path_);
  log.write(Level::kInfo, MessageId::kVmAdded, "first");
  log.write(Level::kInfo, MessageId::kVmAdded, "second");
  const auto report = collector.next();
  EXPECT_EQ(report.at("MESSAGE_ID"), Journal::message_id(MessageId::kRecordsLost));
  EXPECT_EQ(report.at("HOSTCALL_LOST"), "3");
  EXPECT_THAT(report.at("MESSAGE"), HasSubstr("3 log records were lost"));
  EXPECT_EQ(collector.next().at("MESSAGE"), "first");
  EXPECT_EQ(collector.next().at("MESSAGE"), "second") << "the loss is reported once";
  EXPECT_EQ(collector.next_raw(), "");
}

TEST_F(JournalSocket, AJournalThatHangsIsNotWaitedFor) {
  Collector collector(path_);
  auto log = journal();
  int written = 0;
  while (log.lost() == 0 && written < 100000) {
    log.write(Level::kInfo, MessageId::kVmAdded, "nobody reads");
    ++written;
  }
  ASSERT_EQ(log.lost(), 1u) << "a queue of datagrams is finite";
  while (!collector.next_raw().empty()) {
  }
  log.write(Level::kInfo, MessageId::kVmAdded, "read again");
  EXPECT_EQ(collector.next().at("HOSTCALL_LOST"), "1");
  EXPECT_EQ(collector.next().at("MESSAGE"), "read again");
}

TEST_F(JournalSocket, ARestartedJournalIsFoundAgain) {
  auto log = journal();
  { Collector collector(path_); }
  std::filesystem::remove(path_);
  Collector restarted(path_);
  log.write(Level::kInfo, MessageId::kVmAdded, "hello");
  EXPECT_EQ(restarted.next().at("MESSAGE"), "hello");
}

// --- stderr ---

class JournalPipe : public ::testing::Test {
 protected:
  JournalPipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    read_ = UniqueFd::adopt(ends[0]);
    write_ = UniqueFd::adopt(ends[1]);  // blocking, as a stderr is
    EXPECT_EQ(::fcntl(read_.get(), F_SETFL, O_NONBLOCK), 0);
  }
  Journal journal() const { return Journal({.stderr_fd = write_.get()}); }
  // All that is in the pipe.
  std::string drain() {
    std::string text;
    std::array<char, 65536> buffer;
    for (ssize_t bytes; (bytes = ::read(read_.get(), buffer.data(), buffer.size())) > 0;)
      text.append(buffer.data(), static_cast<std::size_t>(bytes));
    return text;
  }

  UniqueFd read_, write_;
  Environment no_systemd_{"INVOCATION_ID", nullptr};
};

TEST_F(JournalPipe, ARecordIsOneLine) {
  journal().write(Level::kError, MessageId::kSystemError, "two\nlines", {{"VM", "web1"}});
  EXPECT_EQ(drain(), "two\\x0alines\n");
}

TEST_F(JournalPipe, UnderSystemdItHasAPriority) {
  const Environment systemd("INVOCATION_ID", "0123");
  journal().write(Level::kError, MessageId::kSystemError, "text");
  EXPECT_EQ(drain(), "<3>text\n");
}

TEST_F(JournalPipe, InTheForegroundItHasTimeAndLevel) {
  Journal foreground({.stderr_fd = write_.get(), .with_time = true});
  foreground.write(Level::kWarning, MessageId::kSystemError, "text");
  EXPECT_THAT(drain(), ::testing::MatchesRegex("20[0-9-]+ [0-9:]+\\.[0-9][0-9][0-9] UTC warning: text\n"));
  const Environment systemd("INVOCATION_ID", "0123");
  foreground.write(Level::kAlert, MessageId::kStoreFailed, "text");
  EXPECT_EQ(drain(), "<1>text\n");
}

// Keeps what it was told.
struct Heard final : JournalObserver {
  std::vector<std::string> records;
  void on_record(Level, MessageId, std::string_view message, std::initializer_list<Field> fields) override {
    records.push_back(std::string(message) + (fields.size() == 0 ? "" : std::string(fields.begin()->value)));
  }
};

TEST_F(JournalPipe, AnObserverHearsWhatIsBelowTheLevelToo) {
  Heard heard;
  Journal log({.level = Level::kError, .stderr_fd = write_.get()});
  log.observe(&heard);
  log.write(Level::kDebug, MessageId::kSessionOpened, "opened ", {{"VM", "web1"}});
  EXPECT_EQ(drain(), "");
  EXPECT_THAT(heard.records, ::testing::ElementsAre("opened web1"));
}

TEST_F(JournalPipe, AFullPipeIsNotWaitedFor) {
  auto log = journal();
  const std::string message(1000, 'x');
  int written = 0;
  while (log.lost() == 0 && written < 100000) {
    log.write(Level::kInfo, MessageId::kVmAdded, message);
    ++written;
  }
  ASSERT_EQ(log.lost(), 1u);
  drain();
  log.write(Level::kInfo, MessageId::kVmAdded, "read again");
  EXPECT_EQ(drain(), "1 log records were lost: the log's reader was too slow or absent\nread again\n");
}

TEST_F(JournalPipe, AReaderThatIsGoneIsALoss) {
  read_.reset();
  ::signal(SIGPIPE, SIG_IGN);  // as the daemon does
  auto log = journal();
  log.write(Level::kInfo, MessageId::kVmAdded, "text");
  EXPECT_EQ(log.lost(), 1u);
  ::signal(SIGPIPE, SIG_DFL);
}

TEST(JournalStream, IsRecognisedByDeviceAndInode) {
  struct stat status {};
  ASSERT_EQ(::fstat(STDERR_FILENO, &status), 0);
  const auto stream = [](auto device, auto inode) { return std::to_string(device) + ":" + std::to_string(inode); };
  {
    const Environment own("JOURNAL_STREAM", stream(status.st_dev, status.st_ino).c_str());
    EXPECT_TRUE(Journal::journal_is_stderr());
  }
  for (const auto& other : {stream(status.st_dev, status.st_ino + 1), stream(status.st_dev + 1, status.st_ino),
                            std::string("nonsense"), std::string()}) {
    const Environment not_own("JOURNAL_STREAM", other.c_str());
    EXPECT_FALSE(Journal::journal_is_stderr()) << other;
  }
  const Environment none("JOURNAL_STREAM", nullptr);
  EXPECT_FALSE(Journal::journal_is_stderr());
}

// --- message ids ---

TEST(MessageIds, AreDistinctAndExplainedInTheCatalogue) {
  const auto catalogue = test::contents_of(SYSTEMD_SOURCE "/hostcall.catalog");
  std::map<std::string, int> seen;
  for (const auto event : kAllMessages) {
    const std::string id = Journal::message_id(event);
    EXPECT_EQ(id.size(), 32u);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
    EXPECT_EQ(++seen[id], 1) << id;
    const auto entry = "\n-- " + id + "\nSubject: ";
    EXPECT_THAT(catalogue, HasSubstr(entry));
    EXPECT_EQ(catalogue.find(entry), catalogue.rfind(entry)) << id;
  }
  std::size_t entries = 0;
  for (auto at = catalogue.find("\n-- "); at != std::string::npos; at = catalogue.find("\n-- ", at + 1)) ++entries;
  EXPECT_EQ(entries, std::size(kAllMessages)) << "no explanation of an id that is gone";
}

TEST(Levels, HaveNames) {
  EXPECT_EQ(level_of("error"), Level::kError);
  EXPECT_EQ(level_of("debug"), Level::kDebug);
  EXPECT_EQ(level_of("verbose"), std::nullopt);
  EXPECT_EQ(level_of(""), std::nullopt);
}

}  // namespace
}  // namespace hostcall::daemon
