#include "daemon/runner/unit_message.h"

#include <systemd/sd-bus.h>

#include "daemon/runner/program_host.h"

namespace hostcall::daemon {
namespace {

// The unit's end does not wait for systemd longer than hostcalld waits for its start.
constexpr seconds kStartTime{25};
// hostcalld ends the program at its time-out; this is for a hostcalld that does not.
constexpr seconds kTimeoutGrace{10};
constexpr std::uint32_t kUmask = 077;
// Ends the unit with the runner, however that ends: nobody else knows of it.
constexpr char kRunnerUnit[] = "hostcall-runner.service";

std::uint64_t usec(Duration time) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
}

// Appends one after the other, until one fails.
class Properties {
 public:
  explicit Properties(sd_bus_message* message) : message_(message) {
    error_ = sd_bus_message_open_container(message_, 'a', "(sv)");
  }
  template <class... Values>
  void add(const char* name, const char* type, Values... values) {
    step([&] { return sd_bus_message_append(message_, "(sv)", name, type, values...); });
  }
  void add_list(const char* name, const std::vector<std::string>& texts) {
    with(name, "as", [&] { return append_texts(texts); });
  }
  template <class Append>
  void with(const char* name, const char* type, const Append& append) {
    step([&] { return sd_bus_message_open_container(message_, 'r', "sv"); });
    step([&] { return sd_bus_message_append_basic(message_, 's', name); });
    step([&] { return sd_bus_message_open_container(message_, 'v', type); });
    step(append);
    step([&] { return sd_bus_message_close_container(message_); });
    step([&] { return sd_bus_message_close_container(message_); });
  }
  int append_texts(const std::vector<std::string>& texts) {
    int error = sd_bus_message_open_container(message_, 'a', "s");
    for (const auto& text : texts)
      if (error >= 0) error = sd_bus_message_append_basic(message_, 's', text.c_str());
    return error < 0 ? error : sd_bus_message_close_container(message_);
  }
  int end() {
    step([&] { return sd_bus_message_close_container(message_); });
    return error_;
  }

 private:
  template <class Step>
  void step(const Step& step) {
    if (error_ >= 0) error_ = step();
  }
  sd_bus_message* message_;
  int error_ = 0;
};

// ExecStartEx, because ExecStart would put variables of the environment in the place of "$NAME" in an argument.
int append_command(sd_bus_message* message, Properties& properties, const std::vector<std::string>& command) {
  int error = sd_bus_message_open_container(message, 'a', "(sasas)");
  if (error >= 0) error = sd_bus_message_open_container(message, 'r', "sasas");
  if (error >= 0) error = sd_bus_message_append_basic(message, 's', command.front().c_str());
  if (error >= 0) error = properties.append_texts(command);
  if (error >= 0) error = properties.append_texts({"no-env-expand"});
  if (error >= 0) error = sd_bus_message_close_container(message);
  return error < 0 ? error : sd_bus_message_close_container(message);
}

int append_log_fields(sd_bus_message* message, const UnitSpec& spec) {
  int error = sd_bus_message_open_container(message, 'a', "ay");
  for (const auto& [name, value] : spec.log_fields) {
    const auto field = name + "=" + value;
    if (error >= 0) error = sd_bus_message_append_array(message, 'y', field.data(), field.size());
  }
  return error < 0 ? error : sd_bus_message_close_container(message);
}

struct AppendValue {
  Properties& properties;
  const char* name;
  void operator()(bool value) const { properties.add(name, "b", static_cast<int>(value)); }
  void operator()(std::int32_t value) const { properties.add(name, "i", value); }
  void operator()(std::uint64_t value) const { properties.add(name, "t", value); }
  void operator()(const std::string& value) const { properties.add(name, "s", value.c_str()); }
  void operator()(const std::vector<std::string>& value) const { properties.add_list(name, value); }
};

void append_life(Properties& properties, const UnitSpec& spec) {
  properties.add("Description", "s", spec.description.c_str());
  properties.add("Slice", "s", spec.slice.c_str());
  properties.add("Type", "s", "exec");
  properties.add("CollectMode", "s", "inactive-or-failed");
  // It stays until its end has been read.
  properties.add("AddRef", "b", 1);
  properties.add_list("BindsTo", {kRunnerUnit});
  properties.add_list("After", {kRunnerUnit});
  properties.add("KillMode", "s", "control-group");
  properties.add("TimeoutStartUSec", "t", usec(kStartTime));
  properties.add("TimeoutStopUSec", "t", usec(kTermTime));
  if (spec.timeout != Duration::zero()) properties.add("RuntimeMaxUSec", "t", usec(spec.timeout + kTimeoutGrace));
}

void append_identity(Properties& properties, const UnitSpec& spec) {
  if (spec.user.empty())
    properties.add("DynamicUser", "b", 1);
  else
    properties.add("User", "s", spec.user.c_str());
  properties.add("NoNewPrivileges", "b", 1);
  properties.add("UMask", "u", kUmask);
}

}  // namespace

int append_start(sd_bus_message* message, const UnitSpec& spec) {
  int error = sd_bus_message_append(message, "ss", spec.name.c_str(), "fail");
  if (error < 0) return error;
  Properties properties(message);
  append_life(properties, spec);
  append_identity(properties, spec);
  if (!spec.directory.empty()) properties.add("WorkingDirectory", "s", spec.directory.c_str());
  properties.add_list("Environment", spec.environment);
  properties.add("StandardInputFileDescriptor", "h", spec.descriptors[0].get());
  properties.add("StandardOutputFileDescriptor", "h", spec.descriptors[1].get());
  properties.add("StandardErrorFileDescriptor", "h", spec.descriptors[2].get());
  properties.with("LogExtraFields", "aay", [&] { return append_log_fields(message, spec); });
  for (const auto& property : spec.properties)
    std::visit(AppendValue{properties, property.name.c_str()}, property.value);
  properties.with("ExecStartEx", "a(sasas)", [&] { return append_command(message, properties, spec.command); });
  error = properties.end();
  return error < 0 ? error : sd_bus_message_append(message, "a(sa(sv))", 0);
}

}  // namespace hostcall::daemon
