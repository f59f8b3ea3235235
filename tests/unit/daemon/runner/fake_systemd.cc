#include "tests/unit/daemon/runner/fake_systemd.h"

#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace hostcall::daemon {
namespace {

// dbus-daemon(1): max_match_rules_per_connection and max_replies_per_connection.
constexpr int kMaxMatches = 512;
constexpr int kMaxWithoutAnswer = 128;
constexpr char kManagerPath[] = "/org/freedesktop/systemd1";

void require(int result, const char* what) {
  if (result < 0) throw std::runtime_error(std::string(what) + ": error " + std::to_string(-result));
}

std::string unit_path(const std::string& unit) {
  char* path = nullptr;
  require(sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit.c_str(), &path), "path");
  const std::string owned(path);
  std::free(path);
  return owned;
}

// The next values up to the end of the container, whatever their types.
std::string read_all(sd_bus_message* message, FakeSystemd::Unit& unit) {
  std::string text;
  char type = 0;
  const char* contents = nullptr;
  while (sd_bus_message_peek_type(message, &type, &contents) > 0) {
    if (!text.empty()) text += "|";
    if (type == 'a' && std::string(contents) == "y") {
      const void* bytes = nullptr;
      std::size_t size = 0;
      require(sd_bus_message_read_array(message, 'y', &bytes, &size), "bytes");
      text.append(static_cast<const char*>(bytes), size);
    } else if (type == 'a' || type == 'r' || type == 'v') {
      require(sd_bus_message_enter_container(message, type, contents), "enter");
      text += read_all(message, unit);
      require(sd_bus_message_exit_container(message), "exit");
    } else if (type == 's') {
      const char* value = nullptr;
      require(sd_bus_message_read_basic(message, 's', &value), "text");
      text += value;
    } else {
      union {
        std::uint64_t number = 0;
        int fd;
      } value;
      require(sd_bus_message_read_basic(message, type, &value), "number");
      struct stat status {};
      if (type == 'h' && ::fstat(value.fd, &status) == 0) unit.descriptors.push_back(status.st_ino);
      text += std::to_string(value.number);
    }
  }
  return text;
}

int on_message(sd_bus_message* message, void* self, sd_bus_error*) {
  return static_cast<FakeSystemd*>(self)->answer(message);
}

}  // namespace

FakeSystemd::FakeSystemd(UniqueFd socket) {
  sd_id128_t id{};
  id.bytes[0] = 1;
  require(sd_bus_new(&bus_), "new");
  const int fd = socket.release();
  require(sd_bus_set_fd(bus_, fd, fd), "fd");
  require(sd_bus_set_server(bus_, 1, id), "server");
  require(sd_bus_negotiate_fds(bus_, 1), "descriptors");
  require(sd_bus_start(bus_), "start");
  require(sd_bus_add_filter(bus_, nullptr, &on_message, this), "filter");
}

FakeSystemd::~FakeSystemd() {
  for (auto* const message : waiting_) sd_bus_message_unref(message);
  sd_bus_close_unref(bus_);
}

bool FakeSystemd::process() {
  bool any = false;
  while (sd_bus_process(bus_, nullptr) > 0) any = true;
  answer_waiting();
  return any;
}

int FakeSystemd::answer(sd_bus_message* message) {
  const char* const member = sd_bus_message_get_member(message);
  if (sd_bus_message_is_method_call(message, nullptr, nullptr) <= 0 || member == nullptr) return 0;
  const bool is_to_bus = std::string("org.freedesktop.DBus") == sd_bus_message_get_destination(message);
  const int answers = sd_bus_message_get_expect_reply(message) > 0 ? 1 : 0;
  if (is_to_bus) return on_bus(message, member);
  if (without_answer_ + answers > kMaxWithoutAnswer) {
    ++refused_by_bus_;
    return sd_bus_reply_method_errorf(message, SD_BUS_ERROR_LIMITS_EXCEEDED, "too many calls");
  }
  without_answer_ += answers;
  waiting_.push_back(sd_bus_message_ref(message));
  return 1;
}

int FakeSystemd::on_bus(sd_bus_message* message, const std::string& member) {
  if (member == "Hello") return sd_bus_reply_method_return(message, "s", ":1.1");
  if (++matches_ <= kMaxMatches) return sd_bus_reply_method_return(message, nullptr);
  ++refused_by_bus_;
  return sd_bus_reply_method_errorf(message, SD_BUS_ERROR_LIMITS_EXCEEDED, "too many matches");
}

void FakeSystemd::answer_waiting() {
  while (!waiting_.empty()) {
    auto* const message = waiting_.front();
    waiting_.pop_front();
    if (sd_bus_message_get_expect_reply(message) > 0) --without_answer_;
    const int result = on_call(message, sd_bus_message_get_member(message));
    if (result < 0) sd_bus_reply_method_errno(message, result, nullptr);
    sd_bus_message_unref(message);
  }
}

int FakeSystemd::on_call(sd_bus_message* message, const std::string& member) {
  if (failures_[member] > 0) {
    --failures_[member];
    return sd_bus_reply_method_errorf(message, SD_BUS_ERROR_LIMITS_EXCEEDED, "not now");
  }
  if (member == "StartTransientUnit") return on_start(message);
  if (member == "GetAll") return on_get_all(message);
  Unit ignored;
  auto arguments = read_all(message, ignored);
  std::ranges::replace(arguments, '|', ' ');
  calls_.push_back(arguments.empty() ? member : member + " " + arguments);
  return sd_bus_message_get_expect_reply(message) > 0 ? sd_bus_reply_method_return(message, nullptr) : 0;
}

int FakeSystemd::on_start(sd_bus_message* message) {
  if (!refusal_.empty()) return sd_bus_reply_method_errorf(message, refusal_.c_str(), "no such luck");
  const char* name = nullptr;
  const char* mode = nullptr;
  require(sd_bus_message_read(message, "ss", &name, &mode), "start");
  auto& unit = units_[name];
  names_.emplace_back(name);
  require(sd_bus_message_enter_container(message, 'a', "(sv)"), "properties");
  while (sd_bus_message_enter_container(message, 'r', "sv") > 0) {
    const char* property = nullptr;
    require(sd_bus_message_read(message, "s", &property), "property");
    unit.properties[property] = read_all(message, unit);
    require(sd_bus_message_exit_container(message), "property");
  }
  return sd_bus_reply_method_return(message, "o", "/org/freedesktop/systemd1/job/1");
}

int FakeSystemd::on_get_all(sd_bus_message* message) {
  sd_bus_message* answer = nullptr;
  require(sd_bus_message_new_method_return(message, &answer), "answer");
  require(sd_bus_message_open_container(answer, 'a', "{sv}"), "open");
  for (const auto& [name, text] : texts_)
    require(sd_bus_message_append(answer, "{sv}", name.c_str(), "s", text.c_str()), "text");
  for (const auto& [name, number] : numbers_) {
    if (name == "Job")
      require(sd_bus_message_append(answer, "{sv}", "Job", "(uo)", static_cast<unsigned>(number), "/"), "job");
    else if (name.ends_with("Timestamp"))
      require(sd_bus_message_append(answer, "{sv}", name.c_str(), "t", number), "time");
    else
      require(sd_bus_message_append(answer, "{sv}", name.c_str(), "i", static_cast<int>(number)), "number");
  }
  // Most of what systemd says is not asked for.
  require(sd_bus_message_append(answer, "{sv}", "ExecReloadTypes", "a(sas)", 1, "x", 1, "y"), "list");
  require(sd_bus_message_close_container(answer), "close");
  const int sent = sd_bus_send(bus_, answer, nullptr);
  sd_bus_message_unref(answer);
  return sent;
}

void FakeSystemd::send(sd_bus_message* signal, const char* sender) {
  require(sd_bus_message_set_sender(signal, sender), "sender");
  require(sd_bus_send(bus_, signal, nullptr), "send");
  sd_bus_message_unref(signal);
}

void FakeSystemd::say_job_removed(const std::string& unit, const std::string& result, const char* sender) {
  sd_bus_message* signal = nullptr;
  require(sd_bus_message_new_signal(bus_, &signal, kManagerPath, "org.freedesktop.systemd1.Manager", "JobRemoved"),
          "new");
  require(sd_bus_message_append(signal, "uoss", 1, "/org/freedesktop/systemd1/job/1", unit.c_str(), result.c_str()),
          "job");
  send(signal, sender);
}

void FakeSystemd::say_changed(const std::string& unit, const std::string& state, const char* sender) {
  sd_bus_message* signal = nullptr;
  require(sd_bus_message_new_signal(bus_, &signal, unit_path(unit).c_str(), "org.freedesktop.DBus.Properties",
                                    "PropertiesChanged"),
          "new");
  require(sd_bus_message_append(signal, "sa{sv}as", "org.freedesktop.systemd1.Unit", 2, "Id", "s", unit.c_str(),
                                "ActiveState", "s", state.c_str(), 0),
          "changed");
  send(signal, sender);
}

}  // namespace hostcall::daemon
