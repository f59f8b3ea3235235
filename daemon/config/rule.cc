#include "daemon/config/rule.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "daemon/config/glob.h"
#include "daemon/config/vm_record.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

constexpr char kPrivilegedPort[] = "privileged-port";
constexpr double kMaxRate = 1e9;
constexpr std::size_t kMaxName = 256;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_letter_or_digit(char c) { return is_letter(c) || (c >= '0' && c <= '9'); }

bool is_call_pattern(std::string_view text) {
  if (text == kAny) return true;
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || text.size() > kMaxName || !is_full_name(text.substr(0, slash))) return false;
  const auto method = text.substr(slash + 1);
  return method == kAny || is_identifier(method);
}

bool is_vm_pattern(std::string_view text) {
  return text == kAny || is_name(text.starts_with(kTagPrefix) ? text.substr(kTagPrefix.size()) : text);
}

// --- a file's text to rules ---

// The strings of a list, which must not be empty. Checks each.
template <class Check>
std::vector<std::string> read_list(const JsonValue& list, std::string_view form, Check check) {
  std::vector<std::string> texts;
  for (const auto& value : list.elements()) {
    texts.push_back(value.string());
    if (!check(texts.back())) value.fail(in_quotes(texts.back()) + " is not " + std::string(form));
  }
  if (texts.empty()) list.fail("the list is empty, so the rule could never match; expected " + std::string(form));
  return texts;
}

std::vector<std::string> read_resources(const JsonValue& list) {
  std::vector<std::string> globs;
  for (const auto& value : list.elements()) {
    globs.push_back(value.string());
    value.require(check_glob(globs.back()).within("resource glob " + in_quotes(globs.back())));
  }
  if (globs.empty()) list.fail("the list is empty, so the rule could never match; leave \"resources\" out for any");
  return globs;
}

void read_require(const JsonValue& list, Rule& rule) {
  read_list(list, "a known requirement; known is privileged-port",
            [](std::string_view text) { return text == kPrivilegedPort; });
  rule.require_privileged_port = true;
}

bool read_action(const JsonValue& value) {
  const auto action = value.string();
  if (action != "allow" && action != "deny") value.fail(in_quotes(action) + " is not an action; write allow or deny");
  return action == "allow";
}

double read_rate(const JsonValue& value, double min) {
  const double rate = value.number();
  if (rate >= min && rate > 0 && rate <= kMaxRate) return rate;
  value.fail(min > 0 ? "expected a number from 1 to 1000000000" : "expected a number above 0, at most 1000000000");
}

void read_limit(const JsonValue& object, Rule& rule) {
  if (object.has("burst") && !object.has("rate")) object.at("burst").fail("a burst needs a rate beside it");
  if (!object.has("rate")) return;
  if (!rule.allow) object.at("rate").fail("a rule that denies has no rate");
  rule.rate = read_rate(object.at("rate"), 0);
  rule.burst = object.has("burst") ? read_rate(object.at("burst"), 1) : std::max(1.0, rule.rate);
}

bool read_audit(const JsonValue& value, const Rule& rule) {
  if (!rule.allow) value.fail("what a rule denies is always recorded; leave it out");
  return value.boolean();
}

// Two rules that say the same have the same fingerprint.
std::uint64_t fingerprint_of(const Rule& rule) {
  std::string text;
  for (const auto* list : {&rule.vms, &rule.calls, &rule.resources}) {
    for (const auto& entry : *list) (text += entry) += '\0';
    text += '\0';
  }
  const auto bits = [](double number) { return std::to_string(std::bit_cast<std::uint64_t>(number)); };
  text += std::to_string(rule.require_privileged_port) + " " + bits(rule.rate) + " " + bits(rule.burst);
  return std::hash<std::string>()(text);
}

}  // namespace

bool is_full_name(std::string_view text) {
  for (auto dot = text.find('.'); dot != std::string_view::npos; dot = text.find('.')) {
    if (!is_identifier(text.substr(0, dot))) return false;
    text.remove_prefix(dot + 1);
  }
  return is_identifier(text);
}

bool is_identifier(std::string_view text) {
  return !text.empty() && is_letter(text.front()) && std::ranges::all_of(text, is_letter_or_digit);
}

Rule read_rule(const JsonValue& object) {
  object.allow_keys({"vms", "calls", "resources", "require", "action", "rate", "burst", "audit"});
  Rule rule;
  rule.vms = read_list(object.at("vms"), "a VM's name, tag:NAME or *", is_vm_pattern);
  rule.calls = read_list(object.at("calls"), "pkg.Service/Method, pkg.Service/* or *", is_call_pattern);
  if (object.has("resources")) rule.resources = read_resources(object.at("resources"));
  if (object.has("require")) read_require(object.at("require"), rule);
  rule.allow = read_action(object.at("action"));
  read_limit(object, rule);
  if (object.has("audit")) rule.audit = read_audit(object.at("audit"), rule);
  if (rule.rate > 0) rule.fingerprint = fingerprint_of(rule);
  rule.file = object.file();
  rule.line = object.line();
  return rule;
}

std::string Rule::short_place() const { return file.substr(file.rfind('/') + 1) + ":" + std::to_string(line); }

std::vector<std::string> call_patterns(std::string_view method) {
  const auto service = method.substr(0, method.find('/'));
  return {std::string(method), std::string(service) + "/" + std::string(kAny), std::string(kAny)};
}

}  // namespace hostcall::daemon
