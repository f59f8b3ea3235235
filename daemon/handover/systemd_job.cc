#include "daemon/handover/systemd_job.h"

#include <systemd/sd-bus.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

namespace hostcall::daemon {
namespace {

// The state and its carrier.
constexpr std::uint32_t kNeededDescriptors = 2;

constexpr char kSystemd[] = "org.freedesktop.systemd1";
constexpr char kManagerPath[] = "/org/freedesktop/systemd1";
constexpr char kManager[] = "org.freedesktop.systemd1.Manager";
constexpr char kProperties[] = "org.freedesktop.DBus.Properties";

struct MessageDeleter {
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using Message = std::unique_ptr<sd_bus_message, MessageDeleter>;

struct BusDeleter {
  // Does not flush, which could wait.
  void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
};

// Calls, one after the other. sd_bus_call() would wait for as long as the bus has not said hello.
class Conversation {
 public:
  explicit Conversation(TimePoint deadline) : deadline_(deadline) {
    sd_bus* bus = nullptr;
    if (sd_bus_open_system(&bus) >= 0) bus_.reset(bus);
  }

  template <class... Arguments>
  Message ask(const std::string& path, const char* interface, const char* member, const char* types,
              Arguments... arguments) {
    sd_bus_message* call = nullptr;
    if (bus_ == nullptr ||
        sd_bus_message_new_method_call(bus_.get(), &call, kSystemd, path.c_str(), interface, member) < 0)
      return {};
    const Message owned(call);
    if (sd_bus_message_append(call, types, arguments...) < 0) return {};
    return answer_to(call);
  }

  // The value of a property, ready to be read.
  Message property(const std::string& path, const std::string& interface, const char* name, const char* type) {
    auto answer = ask(path, kProperties, "Get", "ss", (std::string(kSystemd) + "." + interface).c_str(), name);
    if (answer != nullptr && sd_bus_message_enter_container(answer.get(), 'v', type) <= 0) answer.reset();
    return answer;
  }

 private:
  // Null: an error, or none in time.
  Message answer_to(sd_bus_message* call) {
    Message answer;
    if (sd_bus_call_async(bus_.get(), nullptr, call, &on_answer, &answer, 0) < 0) return {};
    while (answer == nullptr)
      if (!go_on()) {
        // The callback must not find the answer's place again.
        bus_.reset();
        return {};
      }
    if (sd_bus_message_is_method_error(answer.get(), nullptr) > 0) return {};
    return answer;
  }

  static int on_answer(sd_bus_message* message, void* answer, sd_bus_error*) {
    static_cast<Message*>(answer)->reset(sd_bus_message_ref(message));
    return 0;
  }

  // False: the connection has ended, or time is over.
  bool go_on() {
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(deadline_ - Clock::now()).count();
    if (left <= 0) return false;
    int result = sd_bus_process(bus_.get(), nullptr);
    if (result == 0) result = sd_bus_wait(bus_.get(), static_cast<std::uint64_t>(left));
    return result >= 0 || result == -EINTR;
  }

  std::unique_ptr<sd_bus, BusDeleter> bus_;
  TimePoint deadline_;
};

std::optional<std::string> path_of_unit(Conversation& systemd) {
  const auto answer = systemd.ask(kManagerPath, kManager, "GetUnitByPID", "u", static_cast<std::uint32_t>(::getpid()));
  const char* path = nullptr;
  if (answer == nullptr || sd_bus_message_read(answer.get(), "o", &path) <= 0) return std::nullopt;
  return path;
}

// Empty: there is no job.
std::optional<std::string> path_of_job(Conversation& systemd, const std::string& unit) {
  const auto answer = systemd.property(unit, "Unit", "Job", "(uo)");
  std::uint32_t id = 0;
  const char* path = nullptr;
  if (answer == nullptr || sd_bus_message_read(answer.get(), "(uo)", &id, &path) <= 0) return std::nullopt;
  return id == 0 ? "" : path;
}

std::optional<std::string> type_of_job(Conversation& systemd, const std::string& job) {
  const auto answer = systemd.property(job, "Job", "JobType", "s");
  const char* type = nullptr;
  if (answer == nullptr || sd_bus_message_read(answer.get(), "s", &type) <= 0) return std::nullopt;
  return type;
}

std::optional<bool> has_store(Conversation& systemd, const std::string& unit) {
  const auto answer = systemd.property(unit, "Service", "FileDescriptorStoreMax", "u");
  std::uint32_t most = 0;
  if (answer == nullptr || sd_bus_message_read(answer.get(), "u", &most) <= 0) return std::nullopt;
  return most >= kNeededDescriptors;
}

}  // namespace

SystemdJob systemd_job(milliseconds wait) {
  if (std::getenv("NOTIFY_SOCKET") == nullptr) return SystemdJob::kUnknown;
  Conversation systemd(Clock::now() + wait);
  const auto unit = path_of_unit(systemd);
  const auto job = unit ? path_of_job(systemd, *unit) : std::nullopt;
  if (!job) return SystemdJob::kUnknown;
  if (job->empty()) return SystemdJob::kStop;
  const auto type = type_of_job(systemd, *job);
  if (!type) return SystemdJob::kUnknown;
  // systemd turns try-restart and reload-or-restart into one of these before it begins.
  if (*type != "restart" && *type != "try-restart") return SystemdJob::kStop;
  const auto store = has_store(systemd, *unit);
  if (!store) return SystemdJob::kUnknown;
  return *store ? SystemdJob::kRestart : SystemdJob::kRestartWithoutStore;
}

}  // namespace hostcall::daemon
