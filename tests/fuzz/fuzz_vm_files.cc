// Fuzzes files of vms.d: whatever one says, it is refused with a bounded error that names it, or its records are
// correct; and a record that the daemon writes down is the same when it reads it again.
//
// Input: a line end and the text of the file, or choices; see config_text.h.
#include "daemon/config/vm_file.h"
#include "tests/fuzz/config_text.h"
#include "tests/support/temp_dir.h"

namespace hostcall::fuzz {
namespace {

constexpr std::string_view kKeys[] = {"vms",     "name",   "uuid",        "tags",       "cid",         "unix_path",
                                      "vmm_uid", "limits", "connections", "store_keys", "store_bytes", "unknown"};
constexpr std::string_view kValues[] = {"web1",
                                        "db.1",
                                        "Web1",
                                        "tag",
                                        "12345678-1234-1234-1234-123456789abc",
                                        "@abstract",
                                        "/run/x",
                                        "/run/../x",
                                        "/run/",
                                        "/r\\u0000",
                                        "\\u202e",
                                        "",
                                        "a\\u001b",
                                        "\\ud83d\\ude00",
                                        "@\\u00e4"};

void check(const daemon::VmRecord& record) {
  static const test::TempDir directory;
  require(daemon::check_record(record).ok(), "a record that was read is correct");
  const daemon::RuntimeDirectory written(directory.path());
  require(written.write({.registration = 7, .run_time = true, .record = record}).ok(), "a record can be written");
  const auto contents = written.read();
  require(contents.entries.size() == 1 && contents.entries[0].record == record && contents.entries[0].run_time &&
              contents.entries[0].registration == 7,
          "a record is the same when it is read again");
  require(written.remove(record.name).ok(), "a record can be removed");
}

}  // namespace
}  // namespace hostcall::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace hostcall::fuzz;
  constexpr char kFile[] = "/etc/hostcall/vms.d/10-fuzz.json";
  // Each record takes some system calls.
  constexpr std::size_t kMaxRecords = 8;
  Choices choices(bytes, size);
  const auto text = config_text(choices, {kKeys, kValues});
  check_config(kFile, [&] {
    const auto records = hostcall::daemon::records_of(hostcall::daemon::JsonValue::parse(kFile, text));
    for (std::size_t i = 0; i < std::min(records.size(), kMaxRecords); ++i) check(records[i].record);
  });
  return 0;
}
