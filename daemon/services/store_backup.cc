#include "daemon/services/store_backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace hostcall::daemon {
namespace {

constexpr std::size_t kChunkBytes = 128 * 1024;
// Longer than any pause of a reader that writes to a disk. Until then its copy takes room.
constexpr Duration kPatience = seconds(60);

}  // namespace

// What the background thread works with.
struct StoreBackup::File {
  const std::string path;
  UniqueFd fd = {};
  std::uint64_t size = 0, offset = 0;
  std::string chunk = {};
  std::string error = {};

  void open() {
    fd = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0) error = std::strerror(errno);
    size = static_cast<std::uint64_t>(status.st_size);
    ::unlink(path.c_str());
  }
  void read() {
    chunk.resize(kChunkBytes);
    const auto got = ::pread(fd.get(), chunk.data(), chunk.size(), static_cast<off_t>(offset));
    if (got <= 0) error = got == 0 ? "it is too short" : std::strerror(errno);
    chunk.resize(got <= 0 ? 0 : static_cast<std::size_t>(got));
    offset += chunk.size();
  }
};

StoreBackup::StoreBackup(Parts parts, std::shared_ptr<void> place, OnEnd on_end)
    : parts_(std::move(parts)),
      place_(std::move(place)),
      on_end_(std::move(on_end)),
      file_(std::make_shared<File>(File{.path = parts_.file})),
      stalled_(parts_.reactor, Callback::to<&StoreBackup::on_stalled>(this)) {}

StoreBackup::~StoreBackup() {
  if (on_end_) on_end_({Code::kCancelled, "the caller has gone before it had the whole copy"});
}

void StoreBackup::end(const Status& status) {
  if (!on_end_) return;
  std::exchange(on_end_, {})(status);
  stalled_.cancel();
  copy_.reset();
  call().finish(status);
}

void StoreBackup::start() {
  copy_ = parts_.store.copy_to(parts_.file, [this](const std::string& error) { have_copy(error); });
}

void StoreBackup::aside(void (*work)(File&), void (StoreBackup::*next)()) {
  parts_.background.run([file = file_, work] { work(*file); },
                        [self = std::weak_ptr(self_), next] {
                          if (const auto alive = self.lock()) ((*alive)->*next)();
                        });
}

void StoreBackup::have_copy(const std::string& error) {
  if (!error.empty()) return end({Code::kUnavailable, "the store can't be copied to " + parts_.file + ": " + error});
  aside([](File& file) { file.open(); }, &StoreBackup::have_opened);
}

void StoreBackup::have_opened() {
  if (!file_->error.empty()) return end({Code::kInternal, "the copy of the store can't be read: " + file_->error});
  message_.set_total_bytes(file_->size);
  is_filled_ = true;
  go_on();
}

void StoreBackup::have_read() {
  if (!file_->error.empty()) return end({Code::kInternal, "the copy of the store can't be read: " + file_->error});
  message_.set_data(std::move(file_->chunk));
  is_filled_ = true;
  go_on();
}

// Sends what is read, and reads on when the caller has taken it.
void StoreBackup::go_on() {
  if (!is_filled_ || !on_end_) return call().pass();
  if (stalled_.deadline() == kNever) stalled_.set(parts_.reactor.now() + kPatience);
  if (call().send(message_) != wire::SendOutcome::kSent) return;
  stalled_.cancel();
  sent_ += message_.data().size();
  message_.Clear();
  is_filled_ = false;
  if (sent_ == file_->size) return end({});
  aside([](File& file) { file.read(); }, &StoreBackup::have_read);
}

void StoreBackup::on_writable() { go_on(); }

void StoreBackup::on_stalled() {
  end({Code::kDeadlineExceeded, "the copy of the store was not read for 60 s; start the backup again"});
}

}  // namespace hostcall::daemon
