#include "daemon/config/vm_file.h"

#include <unistd.h>

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

RuntimeState::Entry read_entry(const JsonValue& object) {
  object.allow_keys({"registration", "run_time", "record"});
  return {.registration = object.at("registration").integer(1, kMaxRegistration),
          .run_time = object.at("run_time").boolean(),
          .record = read_record(object.at("record"))};
}

RuntimeState read_runtime(const JsonValue& root) {
  root.allow_keys({"last_registration", "vms"});
  RuntimeState state;
  state.last_registration = root.at("last_registration").integer(0, kMaxRegistration);
  for (const auto& object : root.at("vms").elements()) state.entries.push_back(read_entry(object));
  return state;
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

Done replace_own_file(const std::string& path, const Json& root) {
  return replace_file(path, kOwnHeader + root.dump(2) + "\n", kFileMode);
}

}  // namespace

std::vector<FileRecord> records_of(const JsonValue& root) {
  if (!root.has("vms")) return {read_file_record(root)};
  root.allow_keys({"vms"});
  std::vector<FileRecord> records;
  for (const auto& object : root.at("vms").elements()) records.push_back(read_file_record(object));
  return records;
}

RuntimeState RuntimeState::read(const std::string& path) {
  if (is_missing(path)) return {};
  return with_hint(path, "remove it, VMs added at run time without --persistent are then to be added again",
                   read_runtime);
}

Done RuntimeState::write(const std::string& path) const {
  Json vms = Json::array();
  for (const auto& entry : entries)
    vms.push_back(
        Json{{"registration", entry.registration}, {"run_time", entry.run_time}, {"record", to_json(entry.record)}});
  return replace_own_file(path, Json{{"last_registration", last_registration}, {"vms", std::move(vms)}});
}

std::vector<FileRecord> read_state(const std::string& path) {
  if (is_missing(path)) return {};
  return with_hint(path, "correct or remove it, it holds the VMs added with --persistent", records_of);
}

Done write_state(const std::string& path, const std::vector<VmRecord>& records) {
  Json vms = Json::array();
  for (const auto& record : records) vms.push_back(to_json(record));
  return replace_own_file(path, Json{{"vms", std::move(vms)}});
}

}  // namespace hostcall::daemon
