#include "daemon/config/policy.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "proto/base/escape.h"
#include "proto/net/address.h"

namespace hostcall::daemon {
namespace {

constexpr std::string_view kTagPrefix = "tag:";
constexpr std::string_view kAny = "*";
constexpr char kPrivilegedPort[] = "privileged-port";
constexpr double kMaxRate = 1e9;
constexpr std::size_t kMaxName = 256;
constexpr std::size_t kMaxResource = 128;  // the most bytes of a resource in messages

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_letter_or_digit(char c) { return is_letter(c) || (c >= '0' && c <= '9'); }

bool is_identifier(std::string_view text) {
  return !text.empty() && is_letter(text.front()) && std::ranges::all_of(text, is_letter_or_digit);
}

bool is_service(std::string_view text) {
  for (auto dot = text.find('.'); dot != std::string_view::npos; dot = text.find('.')) {
    if (!is_identifier(text.substr(0, dot))) return false;
    text.remove_prefix(dot + 1);
  }
  return is_identifier(text);
}

bool is_call_pattern(std::string_view text) {
  if (text == kAny) return true;
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || text.size() > kMaxName || !is_service(text.substr(0, slash))) return false;
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

Rule read_rule(const JsonValue& object) {
  object.allow_keys({"vms", "calls", "resources", "require", "action", "rate", "burst"});
  Rule rule;
  rule.vms = read_list(object.at("vms"), "a VM's name, tag:NAME or *", is_vm_pattern);
  rule.calls = read_list(object.at("calls"), "of the form pkg.Service/Method, pkg.Service/* or *", is_call_pattern);
  if (object.has("resources")) rule.resources = read_resources(object.at("resources"));
  if (object.has("require")) read_require(object.at("require"), rule);
  rule.allow = read_action(object.at("action"));
  read_limit(object, rule);
  rule.file = object.file();
  rule.line = object.line();
  return rule;
}

// --- a rule against a call ---

bool matches_vm(const Rule& rule, const VmRecord& vm) {
  return std::ranges::any_of(rule.vms, [&](std::string_view pattern) {
    if (pattern == kAny || pattern == vm.name) return true;
    return pattern.starts_with(kTagPrefix) &&
           std::ranges::find(vm.tags, pattern.substr(kTagPrefix.size())) != vm.tags.end();
  });
}

bool matches_call(const Rule& rule, std::string_view method) {
  return std::ranges::any_of(rule.calls, [&](std::string_view pattern) {
    if (!pattern.ends_with(kAny)) return pattern == method;
    pattern.remove_suffix(kAny.size());  // "pkg.Service/", or nothing
    return method.starts_with(pattern);
  });
}

bool matches_resource(const Rule& rule, std::string_view resource) {
  return rule.resources.empty() ||
         std::ranges::any_of(rule.resources, [&](std::string_view glob) { return glob_matches(glob, resource); });
}

bool is_conditional(const Rule& rule) { return rule.require_privileged_port || !rule.resources.empty(); }

std::string place(const Rule& rule) { return rule.file + ":" + std::to_string(rule.line); }

std::string plain_number(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", number);
  return text;
}

std::string allowed_text(const Rule& rule) {
  auto text = " is allowed by " + place(rule);
  if (rule.rate > 0)
    text += ", at most " + plain_number(rule.rate) + " calls/s, " + plain_number(rule.burst) + " at once";
  return text;
}

std::string denied_text(const Verdict& verdict) {
  std::string text = verdict.rule == nullptr ? " is denied: no rule matches VM, call and resource"
                                             : " is denied by " + place(*verdict.rule);
  if (verdict.unmet != nullptr)
    return text + "; " + place(*verdict.unmet) + " would allow it from a source port below " +
           std::to_string(net::kPrivilegedPorts) + " (as root of the VM: hostcall --privileged-port)";
  text += verdict.rule == nullptr ? "; to allow it, add a rule" : "; to allow it, add a rule before that one";
  return text + " (see hostcallctl policy explain)";
}

}  // namespace

Verdict MethodPolicy::decide_in_order(const CallQuery& query) const {
  const Rule* unmet = nullptr;
  for (const Rule* rule : rules_) {
    if (!matches_resource(*rule, query.resource)) continue;
    if (rule->require_privileged_port && !query.privileged_port) {
      if (rule->allow && unmet == nullptr) unmet = rule;
      continue;
    }
    return {.allowed = rule->allow, .rule = rule, .unmet = rule->allow ? nullptr : unmet};
  }
  return {.allowed = false, .rule = nullptr, .unmet = unmet};
}

Policy Policy::read(const std::string& directory) {
  Policy policy;
  for (const auto& path : json_files(directory)) policy.add(JsonValue::read(path));
  return policy;
}

Policy Policy::parse(const std::vector<File>& files) {
  Policy policy;
  for (const auto& file : files) policy.add(JsonValue::parse(file.name, file.text));
  return policy;
}

void Policy::add(const JsonValue& file) {
  file.allow_keys({"rules"});
  for (const auto& object : file.at("rules").elements()) {
    auto rule = read_rule(object);
    rule.index = static_cast<std::uint32_t>(rules_.size());
    rules_.push_back(std::move(rule));
  }
  ++files_;
}

MethodPolicy Policy::for_method(const VmRecord& vm, std::string_view method) const {
  MethodPolicy result;
  for (const auto& rule : rules_) {
    if (!matches_call(rule, method) || !matches_vm(rule, vm)) continue;
    result.rules_.push_back(&rule);
    if (is_conditional(rule)) continue;
    if (result.rules_.size() == 1) result.sole_ = &rule;
    break;
  }
  return result;
}

std::string verdict_text(const VmRecord& vm, const CallQuery& query, const Verdict& verdict) {
  auto text = "VM \"" + vm.name + "\": " + escape(query.method, kMaxName);
  if (!query.resource.empty()) text += " on " + in_quotes(query.resource, kMaxResource);
  return text + (verdict.allowed ? allowed_text(*verdict.rule) : denied_text(verdict));
}

}  // namespace hostcall::daemon
