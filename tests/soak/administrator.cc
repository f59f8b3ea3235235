#include "tests/soak/administrator.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "hostcall/v1/diagnostics.pb.h"
#include "hostcall/v1/store.pb.h"

namespace hostcall::test {
namespace {

using wire::Code;

const std::string kAdmin = "hostcall.v1.Admin/";
const std::string kStore = "hostcall.v1.Store/";
constexpr std::size_t kMostAdded = 8;

}  // namespace

template <class Response>
Response Administrator::ask(const std::string& method, const google::protobuf::MessageLite& request, Code expected) {
  WireClient client(daemon_.admin_address());
  const auto answer = client.call(method, request);
  if (!answer.arrived || (!answer.status.ok() && answer.status.code != expected))
    throw Unexpected(method + ": " + (answer.arrived ? answer.status.message : "no answer"));
  Response response;
  if (!response.ParseFromString(answer.payload)) throw Unexpected(method + ": a reply that can't be parsed");
  return response;
}

// ---------------------------------------------------------------- acts

void Administrator::act() {
  using Act = void (Administrator::*)();
  static constexpr Act kActs[] = {&Administrator::add_vm, &Administrator::remove_vm, &Administrator::change_record,
                                  &Administrator::reload, &Administrator::close_session};
  (this->*kActs[any_of(random_, std::size(kActs))])();
  ++acts_;
}

void Administrator::add_vm() {
  if (added_.size() == kMostAdded) return remove_vm();
  const auto name = "added" + std::to_string(next_added_++);
  v1::VmAddRequest request;
  request.mutable_record()->set_name(name);
  request.mutable_record()->set_unix_path(daemon_.vm_path(name));
  request.set_persistent(any_of(random_, 2) == 0);
  ask<v1::VmAddResponse>(kAdmin + "VmAdd", request);
  added_.insert(name);
  ++registrations_;
  meet(name);
}

// A guest that leaves a key behind. Its connection ends in the middle of a stream.
void Administrator::meet(const std::string& vm) {
  WireClient guest(daemon_.vm_address(vm));
  guest.hello();
  v1::PutRequest put;
  put.set_key("/self/left");
  put.set_value("behind");
  EXPECT_TRUE(guest.call(kStore + "Put", put).status.ok()) << vm;
  guest.start("hostcall.v1.Diagnostics/Sink", "", wire::Shape::kClientStream);
}

void Administrator::remove_vm() {
  if (added_.empty()) return add_vm();
  const auto name = *std::next(added_.begin(), any_of(random_, static_cast<unsigned>(added_.size())));
  v1::VmRemoveRequest request;
  request.set_name(name);
  request.set_purge(true);
  const auto removed = ask<v1::VmRemoveResponse>(kAdmin + "VmRemove", request);
  EXPECT_EQ(removed.keys_deleted(), 1U) << name;
  added_.erase(name);
}

// Another tag registers the VM again and ends its sessions; the others notice nothing.
void Administrator::change_record() {
  write_records(any_of(random_, kSoakVms));
  reload();
  ++registrations_;
}

// The files of the soak name all VMs; one of them has a tag.
void Administrator::write_records(unsigned tagged) {
  std::string records;
  for (unsigned vm = 0; vm < kSoakVms; ++vm)
    records += std::string(vm == 0 ? "" : ",\n") + R"({"name": ")" + soak_vm(vm) + R"(", "unix_path": ")" +
               daemon_.vm_path(soak_vm(vm)) + R"(")" + (vm == tagged ? R"(, "tags": ["changed"])" : "") + "}";
  daemon_.directory().write("vms.d/50-test.json", R"({"vms": [)" + records + "]}");
}

void Administrator::reload() {
  const auto reloaded = ask<v1::ReloadResponse>(kAdmin + "Reload", v1::ReloadRequest());
  EXPECT_EQ(reloaded.vms(), kSoakVms + added_.size());
}

void Administrator::close_session() {
  v1::SessionListRequest request;
  request.set_vm(soak_vm(any_of(random_, kSoakVms)));
  const auto sessions = ask<v1::SessionListResponse>(kAdmin + "SessionList", request);
  if (sessions.sessions_size() == 0) return;
  v1::SessionCloseRequest close;
  close.set_id(sessions.sessions(0).id());
  // It may have ended meanwhile.
  ask<v1::SessionCloseResponse>(kAdmin + "SessionClose", close, Code::kNotFound);
}

void Administrator::clean_up() {
  while (!added_.empty()) remove_vm();
  write_records(kSoakVms);
  reload();
}

// ---------------------------------------------------------------- the store

// With values as those of the guests, a third of them small, because a small one costs more beside its bytes.
void Administrator::fill_history() {
  constexpr unsigned kTransactions = 350, kPuts = 100;  // 45 MB in all; the history has 32 MiB
  WireClient client(daemon_.admin_address());
  for (std::uint64_t i = 1; i <= kTransactions; ++i) {
    v1::TxnRequest request;
    for (unsigned key = 0; key < kPuts; ++key) {
      auto& put = *request.add_then()->mutable_put();
      put.set_key("/shared/filled/" + std::to_string(key));
      put.set_value(key % 3 == 0 ? std::string(250, 'f') : value_after(0, key, i * kPuts + key).value_or("deleted"));
    }
    const auto answer = client.call(kStore + "Txn", request);
    if (!answer.arrived || !answer.status.ok()) throw Unexpected("Txn: " + answer.status.message);
  }
}

std::map<std::string, std::string> Administrator::list(const std::string& prefix) {
  std::map<std::string, std::string> items;
  v1::ListRequest request;
  request.set_prefix(prefix);
  do {
    const auto page = ask<v1::ListResponse>(kStore + "List", request);
    for (const auto& item : page.items()) items[item.key()] = item.value();
    request.set_continuation(page.continuation());
  } while (!request.continuation().empty());
  return items;
}

void Administrator::expect_nothing_lost(const Ledger& ledger) {
  for (unsigned vm = 0; vm < kSoakVms; ++vm) {
    std::vector<KeyCheck> checks;
    for (unsigned key = 0; key < kSoakKeys; ++key) checks.emplace_back(ledger, vm, key);
    const auto prefix = host_folder(vm) + kDurableFolder;
    const auto items = list(prefix);
    for (unsigned key = 0; key < kSoakKeys; ++key) {
      const auto found = items.find(prefix + std::to_string(key));
      const auto value = found == items.end() ? std::nullopt : std::optional(found->second);
      EXPECT_TRUE(checks[key].allows(value)) << prefix << key << " has write " << number_of(value.value_or(""))
                                             << ", acknowledged is " << ledger.keys[vm][key].acknowledged;
    }
  }
}

void Administrator::expect_no_session_keys() {
  for (unsigned vm = 0; vm < kSoakVms; ++vm) {
    const auto prefix = host_folder(vm) + kSessionFolder;
    EXPECT_TRUE(list(prefix).empty()) << prefix;
  }
}

// ---------------------------------------------------------------- what it sees

std::map<std::string, std::uint64_t> Administrator::counters() {
  std::map<std::string, std::uint64_t> values;
  const auto stats = ask<v1::StatsResponse>(kAdmin + "Stats", v1::StatsRequest());
  for (const auto& counter : stats.counters()) values[counter.name()] = counter.value();
  return values;
}

std::string Administrator::charges() {
  std::string text;
  for (unsigned vm = 0; vm < kSoakVms; ++vm) {
    v1::VmShowRequest request;
    request.set_name(soak_vm(vm));
    const auto shown = ask<v1::VmShowResponse>(kAdmin + "VmShow", request);
    for (const auto& limit : shown.limits()) {
      // Keys stay, and rates recover with time.
      const auto& name = limit.name();
      const bool stays =
          name == "store_keys" || name == "store_bytes" || name.ends_with("_rate") || name.ends_with("_burst");
      if (!stays && limit.left() != limit.limit())
        text += soak_vm(vm) + " " + name + " " + std::to_string(limit.limit() - limit.left()) + "; ";
    }
  }
  return text;
}

}  // namespace hostcall::test
