#include "daemon/runner/bus_message.h"

#include <systemd/sd-bus.h>

#include <string_view>

namespace hostcall::daemon {

std::string BusMessage::error_name() const {
  if (message_ == nullptr) return SD_BUS_ERROR_FAILED;
  const auto* const error = sd_bus_message_get_error(message_);
  return error == nullptr || error->name == nullptr ? "" : error->name;
}

std::string BusMessage::error_text() const {
  const auto* const error = message_ == nullptr ? nullptr : sd_bus_message_get_error(message_);
  return error == nullptr || error->message == nullptr ? "" : error->message;
}

std::string BusMessage::path() const {
  const char* const path = sd_bus_message_get_path(message_);
  return path == nullptr ? "" : path;
}

std::string BusMessage::read_text() {
  const char* text = nullptr;
  return sd_bus_message_read_basic(message_, 's', &text) > 0 ? text : "";
}

std::string BusMessage::read_path() {
  const char* text = nullptr;
  return sd_bus_message_read_basic(message_, 'o', &text) > 0 ? text : "";
}

void BusMessage::skip(const char* types) { (void)sd_bus_message_skip(message_, types); }

std::optional<BusValues> BusMessage::read_values(const std::set<std::string, std::less<>>& names) {
  BusValues found;
  if (sd_bus_message_enter_container(message_, 'a', "{sv}") <= 0) return std::nullopt;
  int more = 0;
  while ((more = sd_bus_message_enter_container(message_, 'e', "sv")) > 0) {
    const auto name = read_text();
    BusValue value;
    if (!names.contains(name))
      skip("v");
    else if (read_value(value))
      found[name] = std::move(value);
    else
      return std::nullopt;
    if (sd_bus_message_exit_container(message_) < 0) return std::nullopt;
  }
  if (more < 0 || sd_bus_message_exit_container(message_) < 0) return std::nullopt;
  return found;
}

bool BusMessage::read_value(BusValue& value) {
  char type = 0;
  const char* contents = nullptr;
  if (sd_bus_message_peek_type(message_, &type, &contents) <= 0 || type != 'v') return false;
  const std::string_view wanted = contents;
  const char* text = nullptr;
  std::int32_t integer = 0;
  std::uint32_t number = 0;
  int result = 0;
  if (wanted == "s") {
    result = sd_bus_message_read(message_, "v", "s", &text);
    if (text != nullptr) value.text = text;
  } else if (wanted == "t") {
    result = sd_bus_message_read(message_, "v", "t", &value.number);
  } else if (wanted == "i") {
    result = sd_bus_message_read(message_, "v", "i", &integer);
    value.number = static_cast<std::uint32_t>(integer);
  } else if (wanted == "(uo)") {
    result = sd_bus_message_read(message_, "v", "(uo)", &number, &text);
    value.number = number;
  }
  return result > 0;
}

}  // namespace hostcall::daemon
