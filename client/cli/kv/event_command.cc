// A command for each change: see event_command.h.
#include "client/cli/kv/event_command.h"

#include <sys/mman.h>
#include <unistd.h>

#include "client/cli/child.h"
#include "client/cli/exit_code.h"
#include "client/cli/text.h"
#include "proto/base/unique_fd.h"
#include "proto/base/write_file.h"

namespace hostcall::cli::kv {
namespace {

// In memory: a command that does not read its input must not stop us.
Result<UniqueFd> file_of(const std::string& value) {
  auto fd = UniqueFd::adopt(::memfd_create("value", MFD_CLOEXEC));
  if (!fd) return Error::from_errno("memfd_create");
  HOSTCALL_TRY(write_all(fd.get(), value));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return Error::from_errno("lseek");
  return fd;
}

Result<pid_t> start(const std::string& command, const v1::Event& event) {
  const auto input = HOSTCALL_TRY(file_of(event.item().value()));
  return start_child({"/bin/sh", "-c", command},
                     {.input = input.get(),
                      .environment = {{"HOSTCALL_KIND", event.kind() == v1::Event::KIND_DELETE ? "delete" : "put"},
                                      {"HOSTCALL_KEY", event.item().key()},
                                      {"HOSTCALL_REVISION", std::to_string(event.item().mod_revision())}}});
}

}  // namespace

void run_event_command(const std::string& command, const v1::Event& event) {
  const auto pid = start(command, event);
  if (!pid.ok()) throw Failure{ExitCode::kUnreachable, pid.error().message()};
  if (const auto ended = reap_child(pid.value()); !ended.ok())
    throw Failure{ExitCode::kUnreachable, "the command failed for " + printable(event.item().key()) + " at revision " +
                                              std::to_string(event.item().mod_revision()) + ", " +
                                              ended.error().message()};
}

}  // namespace hostcall::cli::kv
