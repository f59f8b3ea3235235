#include "daemon/config/vm_file.h"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "proto/base/write_file.h"
#include "proto/net/address.h"

namespace hostcall::daemon {
namespace {

// Keeps keys in the order in which the code adds them.
using Json = nlohmann::ordered_json;

constexpr std::uint64_t kMaxUid = std::numeric_limits<uid_t>::max() - 1;  // the largest uid_t means "no uid"
constexpr std::uint64_t kMaxRegistration = std::numeric_limits<std::int64_t>::max();
constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;
constexpr char kOwnHeader[] = "// Written by hostcalld; use hostcallctl vm add and hostcallctl vm remove.\n";

// --- reading ---

VmRecord read_record(const JsonValue& object) {
  object.allow_keys({"name", "uuid", "tags", "cid", "unix_path", "vmm_uid", "limits"});
  VmRecord record;
  record.name = object.at("name").string();
  if (object.has("uuid")) record.uuid = object.at("uuid").string();
  if (object.has("tags")) record.tags = object.at("tags").strings();
  if (object.has("cid"))
    record.cid = static_cast<std::uint32_t>(object.at("cid").integer(net::kCidHost + 1, net::kCidAny - 1));
  if (object.has("unix_path")) record.unix_path = object.at("unix_path").string();
  if (object.has("vmm_uid")) record.vmm_uid = static_cast<uid_t>(object.at("vmm_uid").integer(0, kMaxUid));
  if (object.has("limits")) record.limits = read_limits(object.at("limits"));
  object.require(check_record(record));
  return record;
}

FileRecord read_file_record(const JsonValue& object) {
  return {.record = read_record(object), .file = object.file(), .line = object.line()};
}

RuntimeDirectory::Entry read_entry(const JsonValue& object) {
  object.allow_keys({"registration", "run_time", "record"});
  return {.registration = object.at("registration").integer(1, kMaxRegistration),
          .run_time = object.at("run_time").boolean(),
          .record = read_record(object.at("record"))};
}

std::uint64_t read_last_registration(const JsonValue& root) {
  root.allow_keys({"last_registration"});
  return root.at("last_registration").integer(0, kMaxRegistration);
}

// Runs `read`. Adds a hint to an error in one of our own files, because nobody wrote it by hand.
template <class Read>
auto with_hint(const std::string& path, std::string_view hint, Read read) {
  try {
    return read(JsonValue::read(path));
  } catch (const ConfigError& error) {
    throw ConfigError(std::string(error.what()) + "; hostcalld wrote this file itself: " + std::string(hint));
  }
}

bool is_missing(const std::string& path) { return ::access(path.c_str(), F_OK) != 0 && errno == ENOENT; }

// Each file of a directory of our own, without those that the daemon removes while another process checks the
// configuration.
template <class Read>
auto read_all(const std::string& directory, std::string_view hint, Read read) {
  std::vector<decltype(with_hint(directory, hint, read))> all;
  for (const auto& path : json_files(directory)) {
    try {
      all.push_back(with_hint(path, hint, read));
    } catch (const ConfigError&) {
      if (!is_missing(path)) throw;
    }
  }
  return all;
}

// --- writing ---

Json to_json(const VmRecord& record) {
  Json object{{"name", record.name}};
  if (!record.uuid.empty()) object["uuid"] = record.uuid;
  if (!record.tags.empty()) object["tags"] = record.tags;
  if (record.cid != 0) object["cid"] = record.cid;
  if (!record.unix_path.empty()) object["unix_path"] = record.unix_path;
  if (record.vmm_uid) object["vmm_uid"] = *record.vmm_uid;
  if (!record.limits.empty()) object["limits"] = record.limits;
  return object;
}

std::string own_file(const Json& root) { return kOwnHeader + root.dump(2) + "\n"; }

// No VM's name has a capital letter.
constexpr char kCounterFile[] = "/LAST_REGISTRATION";

std::string file_in(const std::string& directory, const std::string& name) { return directory + "/" + name + ".json"; }

}  // namespace

std::vector<FileRecord> records_of(const JsonValue& root) {
  if (!root.has("vms")) return {read_file_record(root)};
  root.allow_keys({"vms"});
  std::vector<FileRecord> records;
  for (const auto& object : root.at("vms").elements()) records.push_back(read_file_record(object));
  return records;
}

RuntimeDirectory::Contents RuntimeDirectory::read() const {
  Contents contents;
  contents.entries =
      read_all(path_, "remove it; a VM added at run time without --persistent is then to be added again", read_entry);
  if (const auto counter = path_ + kCounterFile; !is_missing(counter))
    contents.last_registration = with_hint(counter, "remove it", read_last_registration);
  for (const auto& entry : contents.entries)
    contents.last_registration = std::max(contents.last_registration, entry.registration);
  return contents;
}

std::string RuntimeDirectory::file_of(const std::string& name) const { return file_in(path_, name); }

Done RuntimeDirectory::put(const std::string& file, std::string_view text) const {
  auto written = replace_file(file, text, kFileMode, Durability::kUnsynced);
  if (written.ok() || written.error().code != ENOENT) return written;
  HOSTCALL_TRY(make_directory(path_, kDirectoryMode, Durability::kUnsynced));
  return replace_file(file, text, kFileMode, Durability::kUnsynced);
}

Done RuntimeDirectory::write(const Entry& entry) const {
  const Json root{
      {"registration", entry.registration}, {"run_time", entry.run_time}, {"record", to_json(entry.record)}};
  return put(file_of(entry.record.name), own_file(root));
}

Done RuntimeDirectory::remove(const std::string& name) const { return remove_file(file_of(name)); }

Done RuntimeDirectory::write_last_registration(std::uint64_t number) const {
  return put(path_ + kCounterFile, own_file(Json{{"last_registration", number}}));
}

std::vector<FileRecord> StateDirectory::read() const {
  return read_all(path_, "correct or remove it, it holds a VM added with --persistent", read_file_record);
}

Done StateDirectory::write(const VmRecord& record) const {
  HOSTCALL_TRY(make_directory(path_, kDirectoryMode));
  return replace_file(file_in(path_, record.name), own_file(to_json(record)), kFileMode);
}

Erased StateDirectory::remove(const std::string& name) const {
  const auto file = file_in(path_, name);
  Erased erased{.was_there = !is_missing(file), .removed = remove_file(file)};
  // Without its directory, no crash brings a record back.
  if (erased.removed.ok() && !is_missing(path_)) erased.synced = sync_directory_of(file);
  return erased;
}

}  // namespace hostcall::daemon
