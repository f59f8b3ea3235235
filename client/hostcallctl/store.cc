// hostcallctl store: copies the store of a running hostcalld, and puts a copy into its place.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "client/cli/duration.h"
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "client/hostcallctl/program_output.h"
#include "hostcall/v1/admin.hostcall.h"
#include "proto/base/escape.h"
#include "proto/base/unique_fd.h"
#include "proto/base/write_file.h"

namespace hostcall::cli::host {
namespace {

constexpr char kBackupHelp[] = R"(Copies the store of the running hostcalld to a file: all keys of all VMs, with
their history, as they are at one moment. Calls and writes go on meanwhile. The file
gets mode 0600, because VMs keep secrets in their keys; one of that name is replaced
once the copy is whole and on the disk. It is an SQLite database. With -q, prints
only errors.
)";

constexpr char kBackupExamples[] = R"(  hostcallctl store backup /var/backups/hostcall-store.db
)";

constexpr char kRestoreHelp[] = R"(Puts a file of store backup in the place of the store. First stop hostcalld:

hostcallctl starts the program hostcalld with --restore-store, which refuses while
another process has the store open, checks the file (SQLite's integrity_check, its
application and schema version, its number of keys) and replaces the store as a whole
or not at all. The store that was there stays beside it, as store.db.before-TIME. With
-q, prints only errors.
)";

constexpr char kRestoreExamples[] = R"(  systemctl stop hostcalld.socket hostcalld
  hostcallctl store restore /var/backups/hostcall-store.db
  systemctl start hostcalld.socket hostcalld
)";

// A file that gets its name when it is whole.
class NewFile {
 public:
  explicit NewFile(std::string path) : path_(std::move(path)), unfinished_(path_ + ".new") {
    fd_ = UniqueFd::adopt(
        ::open(unfinished_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
    if (fd_) return;
    const auto hint = errno == EEXIST ? "; another backup may be writing it; if none does, remove it" : "";
    throw failed(std::string("create ") + in_quotes(unfinished_) + ": " + std::strerror(errno) + hint);
  }
  ~NewFile() {
    if (fd_) ::unlink(unfinished_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(std::string_view bytes) {
    if (const auto written = write_all(fd_.get(), bytes); !written.ok())
      throw failed("write " + in_quotes(unfinished_) + ": " + written.error().message());
  }
  void finish() {
    if (const auto moved = move_into_place(fd_.get(), unfinished_, path_); !moved.ok())
      throw failed(moved.error().message());
    fd_.reset();
  }

 private:
  static Failure failed(const std::string& what) { return {ExitCode::kUnreachable, "no backup is made: " + what}; }

  const std::string path_, unfinished_;
  UniqueFd fd_;
};

class StoreBackup : public Verb {
 public:
  void declare(Arguments& arguments) override { arguments.positional("FILE", file_, "Where the copy goes."); }
  ExitCode run(Invocation& invocation) override {
    invocation.last();
    const Interrupt interrupt{SIGINT, SIGTERM, SIGHUP};
    auto stream = value_of(invocation.client().open<v1::Admin::StoreBackup>({}, invocation.rest()));
    std::optional<NewFile> file;
    v1::StoreBackupResponse whole, part;
    std::uint64_t written = 0;
    for (;;) {
      const auto progress = stream.try_recv(part);
      if (progress == Progress::kEnded) break;
      if (progress == Progress::kWouldBlock) {
        wait(invocation, interrupt);
        continue;
      }
      // The daemon has the copy: only now it is sure to come.
      if (!file) file.emplace(file_);
      whole.set_total_bytes(whole.total_bytes() + part.total_bytes());
      file->write(part.data());
      written += part.data().size();
    }
    if (const auto status = stream.finish(); !status.ok()) throw failure_of(of_read(status));
    if (!file || written != whole.total_bytes())
      throw Failure{ExitCode::kUnreachable, "no backup is made: hostcalld sent " + std::to_string(written) + " of " +
                                                std::to_string(whole.total_bytes()) + " bytes"};
    file->finish();
    invocation.confirm(whole, printable(file_) + ": " + format_bytes(written) + "\n");
    return ExitCode::kDone;
  }

 private:
  static void wait(Invocation& invocation, const Interrupt& interrupt) {
    if (!turn(invocation.client(), {interrupt, false}, invocation.deadline())) return;
    if (const int number = interrupt.take(); number != 0) throw SignalEnd{number};
  }

  std::string file_;
};

class StoreRestore : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("FILE", file_, "A file of store backup.");
    arguments.option("--config", "FILE", config_, "hostcalld's configuration, if it is not the usual one.");
    arguments.not_empty();
    arguments.option("--hostcalld", "PROGRAM", program_, "The program; default " HOSTCALLD_PROGRAM ".");
    arguments.not_empty();
  }
  ExitCode run(Invocation& invocation) override {
    invocation.last();
    std::vector<std::string> argv{program_, "--restore-store", file_};
    if (!config_.empty()) argv.insert(argv.end(), {"--config", config_});
    auto report = program_report(argv, invocation.deadline());
    if (!report.ok()) throw Failure{ExitCode::kUnreachable, in_one_line(report.error().message())};
    const auto text = in_one_line(*report);
    if (invocation.json())
      print_line(nlohmann::ordered_json{{"file", file_}, {"text", text}}.dump(
          -1, ' ', false, nlohmann::json::error_handler_t::replace));
    else if (!invocation.quiet())
      print_line(text);
    return ExitCode::kDone;
  }

 private:
  static std::string in_one_line(std::string text) {
    while (text.ends_with('\n')) text.pop_back();
    return escape_message(text);
  }

  std::string file_, config_;
  std::string program_ = HOSTCALLD_PROGRAM;
};

}  // namespace

const VerbEntry kStoreBackup{"store backup", "copy the store of the running hostcalld", kBackupHelp, kBackupExamples,
                             []() -> std::unique_ptr<Verb> { return std::make_unique<StoreBackup>(); }};
const VerbEntry kStoreRestore{"store restore", "put a copy in the place of the store", kRestoreHelp, kRestoreExamples,
                              []() -> std::unique_ptr<Verb> { return std::make_unique<StoreRestore>(); }};

}  // namespace hostcall::cli::host
