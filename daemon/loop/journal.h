// Journal: writes structured log records for the operator: under systemd with fields to journald's native socket,
// otherwise one line each to stderr. Writing never blocks: the journal counts a record that does not fit, and reports
// the loss later. An observer gets all records, whatever the level.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "proto/base/escape.h"
#include "proto/base/unique_fd.h"

namespace hostcall::daemon {

// The numbers are syslog's.
enum class Level : std::uint8_t { kAlert = 1, kError = 3, kWarning = 4, kNotice = 5, kInfo = 6, kDebug = 7 };

// "warning"; "alert" is no level of the configuration.
std::string_view level_name(Level level);
// Looks up a level by its name in the configuration.
std::optional<Level> level_of(std::string_view name);
inline constexpr std::string_view kLevelNames = "error, warning, notice, info, debug";

// Kinds of records. Each has its own MESSAGE_ID, which journal.cc and the message catalogue list.
enum class MessageId : std::uint8_t {
  kStarted,
  kStopping,
  kReloaded,
  kReloadFailed,
  kPolicyWarning,  // a rule can't mean what it says
  kVmAdded,
  kVmRemoved,
  kVmChanged,    // its tags or limits
  kAdminAction,  // audit: what an administrator did, and how it ended
  kSessionOpened,
  kSessionClosed,
  kCallerRefused,  // unknown or forbidden caller
  kCallDenied,     // audit: policy denied the call
  kCallMade,       // audit: the call was allowed, and this is what it did
  kLimitReached,
  kViolation,  // a peer broke the protocol
  kPeerLost,   // a peer was silent, idle, slow, or did not read
  kRecordsLost,
  kStoreDiskFull,
  kStoreRecovered,
  kStoreFailed,  // read-only from now on
  kSystemError,
};

struct Field {
  std::string_view name;  // upper case, without the HOSTCALL_ prefix: "VM", "CALL", "RULE"
  std::string_view value;
};

// Longer texts are cut, so that a guest can't fill the journal with one record.
inline constexpr std::size_t kMaxRecordText = 1024;
inline constexpr std::size_t kMaxRecordValue = 512;

// Gets what is written, also below the journal's level. Message and values are not escaped yet.
class JournalObserver {
 public:
  virtual void on_record(Level level, MessageId id, std::string_view message, std::initializer_list<Field> fields) = 0;

 protected:
  ~JournalObserver() = default;
};

class Journal {
 public:
  struct Options {
    Level level = Level::kInfo;
    std::string socket_path = "/run/systemd/journal/socket";
    bool to_journal = false;  // see journal_is_stderr()
    int stderr_fd = 2;
    bool with_time = false;  // lines to stderr start with time and level, unless systemd has started the program
  };
  explicit Journal(const Options& options);

  void set_level(Level level) { level_ = level; }
  // Null: nobody. Must outlive the journal's use.
  void observe(JournalObserver* observer) { observer_ = observer; }
  // Whether records of this level are written. Ask before building an expensive record.
  bool writes(Level level) const { return level <= level_; }
  // `message` and the values may contain guest text: both are escaped. A message quotes its values with in_quotes().
  void write(Level level, MessageId id, std::string_view message, std::initializer_list<Field> fields = {});
  // Records lost since the start.
  std::uint64_t lost() const { return lost_; }

  // Whether stderr is journald's stream ($JOURNAL_STREAM), so that fields can be sent.
  static bool journal_is_stderr();
  // 32 hexadecimal digits, null-terminated.
  static const char* message_id(MessageId id);

 private:
  // False: the record was not written.
  [[nodiscard]] bool send(Level level, MessageId id, std::string_view message, std::initializer_list<Field> fields);
  [[nodiscard]] bool send_to_journal(Level level, MessageId id, std::string_view message,
                                     std::initializer_list<Field> fields);
  [[nodiscard]] bool send_to_stderr(Level level, std::string_view message);
  std::string stderr_prefix(Level level) const;

  void report_lost();

  UniqueFd socket_;
  std::string socket_path_;
  std::uint64_t lost_ = 0;
  std::uint64_t lost_reported_ = 0;
  int stderr_fd_;
  Level level_;
  bool with_time_;
  JournalObserver* observer_ = nullptr;
};

}  // namespace hostcall::daemon
