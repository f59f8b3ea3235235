#include "daemon/loop/journal.h"

#include <linux/limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "proto/base/escape.h"
#include "proto/base/try_write.h"
#include "proto/net/address.h"

namespace hostcall::daemon {
namespace {

// LOG_DAEMON.
constexpr char kFacility[] = "3";

constexpr std::pair<std::string_view, Level> kLevels[] = {{"error", Level::kError},
                                                          {"warning", Level::kWarning},
                                                          {"notice", Level::kNotice},
                                                          {"info", Level::kInfo},
                                                          {"debug", Level::kDebug}};

void append_field(std::string& record, std::string_view name, std::string_view value) {
  ((record += name) += '=') += value;
  record += '\n';
}

std::string level_text(Level level) { return std::to_string(static_cast<int>(level)); }

// "2026-07-30 12:34:56.789 UTC"
std::string time_text() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::tm utc{};
  ::gmtime_r(&now.tv_sec, &utc);
  char text[40];
  const auto length = std::strftime(text, sizeof text, "%F %T", &utc);
  std::snprintf(text + length, sizeof text - length, ".%03ld UTC", now.tv_nsec / 1'000'000);
  return text;
}

}  // namespace

std::optional<Level> level_of(std::string_view name) {
  for (const auto& [known, level] : kLevels)
    if (known == name) return level;
  return std::nullopt;
}

std::string_view level_name(Level level) {
  for (const auto& [name, known] : kLevels)
    if (known == level) return name;
  return "alert";
}

const char* Journal::message_id(MessageId id) {
  switch (id) {
    case MessageId::kStarted: return "30828324e940c41cf0e6db7911aea68b";
    case MessageId::kStopping: return "7dec05c967cf269beb5f27fb61e22ee2";
    case MessageId::kReloaded: return "c24af97fea19c41291cb54803beaa92a";
    case MessageId::kReloadFailed: return "2fc233846928b75d8dfa5e3f97a641a4";
    case MessageId::kPolicyWarning: return "4a0c93d1f7b84d1e9d6a2c85be70f316";
    case MessageId::kVmAdded: return "85f33a08dac37a11de768296fced318a";
    case MessageId::kVmRemoved: return "6573cd6b894820cbb873cb869641573c";
    case MessageId::kVmChanged: return "0f6d3b5a9c7e4b1d8a2f4c6e91d37b58";
    case MessageId::kAdminAction: return "e3a81c5f7d204e96b0c2d94f6a1873be";
    case MessageId::kSessionOpened: return "b4c5524e0674c9effb06c0ea0b60486e";
    case MessageId::kSessionClosed: return "e585a4d52ff4eb328b26d430c471c9d5";
    case MessageId::kCallerRefused: return "7354012834d1c12f66798745d19ce4c6";
    case MessageId::kCallMade: return "5b1f2c0de7a94f0c8f3e6a7d9021c4b8";
    case MessageId::kCallDenied: return "8a7475741dfeb6f1a4785fedfc0f44da";
    case MessageId::kLimitReached: return "96192e0984da36a62b1fb2da1767360c";
    case MessageId::kViolation: return "2e82c0a3d911fd7a28d3920a25b3e527";
    case MessageId::kPeerLost: return "eaf5c12d6423497090c5420ba3a742f0";
    case MessageId::kRecordsLost: return "b44866a9bb0f8b7818dca4769275c88b";
    case MessageId::kStoreDiskFull: return "5b1fb3c06d0a4f4f9d8d6c1f3a9e7b21";
    case MessageId::kStoreRecovered: return "c2f7a4de83b94f0b8e5d17a6b0934c5f";
    case MessageId::kStoreFailed: return "9e0d6b7a41c84a3c97f25b8e1d60fa34";
    case MessageId::kSystemError: return "d35607566bc2911b0a5b4bef2e318c5e";
  }
  std::abort();
}

bool Journal::journal_is_stderr() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  unsigned long long device = 0;
  unsigned long long inode = 0;
  return stream != nullptr && std::sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
         ::fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

Journal::Journal(const Options& options)
    : socket_path_(options.socket_path),
      stderr_fd_(options.stderr_fd),
      level_(options.level),
      with_time_(options.with_time) {
  if (options.to_journal) socket_ = UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

void Journal::write(Level level, MessageId id, std::string_view message, std::initializer_list<Field> fields) {
  if (observer_ != nullptr) observer_->on_record(level, id, message, fields);
  if (!writes(level)) return;
  report_lost();
  if (!send(level, id, message, fields)) ++lost_;
}

void Journal::report_lost() {
  if (lost_ == lost_reported_) return;
  const auto count = std::to_string(lost_ - lost_reported_);
  if (send(Level::kWarning, MessageId::kRecordsLost,
           count + " log records were lost: the log's reader was too slow or absent", {{"LOST", count}}))
    lost_reported_ = lost_;
}

bool Journal::send(Level level, MessageId id, std::string_view message, std::initializer_list<Field> fields) {
  return socket_ ? send_to_journal(level, id, message, fields) : send_to_stderr(level, message);
}

// journald's native protocol. Escaped values contain no line break, so the form with a length is not needed.
bool Journal::send_to_journal(Level level, MessageId id, std::string_view message,
                              std::initializer_list<Field> fields) {
  std::string record;
  append_field(record, "MESSAGE", escape_message(message, kMaxRecordText));
  append_field(record, "PRIORITY", level_text(level));
  append_field(record, "MESSAGE_ID", message_id(id));
  append_field(record, "SYSLOG_IDENTIFIER", "hostcalld");
  append_field(record, "SYSLOG_FACILITY", kFacility);
  for (const auto& field : fields)
    append_field(record, "HOSTCALL_" + std::string(field.name), escape(field.value, kMaxRecordValue));
  // The socket is not connected, so that records also reach a restarted journald.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_path_.copy(address.sun_path, net::kMaxUnixPath);
  return ::sendto(socket_.get(), record.data(), record.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                  reinterpret_cast<const sockaddr*>(&address), sizeof address) >= 0;
}

// Under systemd, whatever reads stderr may understand the "<4>" prefix, and knows the time.
std::string Journal::stderr_prefix(Level level) const {
  if (std::getenv("INVOCATION_ID") != nullptr) return std::string("<").append(level_text(level)).append(">");
  if (!with_time_) return {};
  return time_text().append(" ").append(level_name(level)).append(": ");
}

bool Journal::send_to_stderr(Level level, std::string_view message) {
  const auto line = stderr_prefix(level) + escape_message(message, kMaxRecordText) + '\n';
  static_assert(kMaxRecordText + 48 <= PIPE_BUF);
  return try_write(stderr_fd_, line);
}

}  // namespace hostcall::daemon
