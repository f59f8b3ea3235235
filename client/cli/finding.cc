// Finding: see finding.h.
#include "client/cli/finding.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "client/cli/text.h"
#include "proto/base/escape.h"

namespace hostcall::cli {
namespace {

constexpr std::size_t kIndent = 6;

const char* name_of(Finding::State state) {
  switch (state) {
    case Finding::State::kOk: return "ok";
    case Finding::State::kWarn: return "warn";
    case Finding::State::kFail: return "fail";
  }
  return "";
}

std::string paragraph(const std::string& first, const std::string& text) {
  return wrap(first + " " + escape_message(text), kTerminalWidth, kIndent) + "\n";
}

std::string to_text(const Finding& finding) {
  std::string state = name_of(finding.state);
  state.resize(kIndent, ' ');
  auto text = state + wrap(finding.check + ": " + escape_message(finding.text), kTerminalWidth, kIndent) + "\n";
  if (!finding.advice.empty()) text += std::string(kIndent, ' ') + paragraph("->", finding.advice);
  return text;
}

}  // namespace

Finding ok(std::string check, std::string text) { return {Finding::State::kOk, std::move(check), std::move(text), {}}; }
Finding warn(std::string check, std::string text, std::string advice) {
  return {Finding::State::kWarn, std::move(check), std::move(text), std::move(advice)};
}
Finding fail(std::string check, std::string text, std::string advice) {
  return {Finding::State::kFail, std::move(check), std::move(text), std::move(advice)};
}

ExitCode exit_code_of(const Findings& findings) {
  const bool failed = std::ranges::any_of(findings, [](const Finding& f) { return f.state == Finding::State::kFail; });
  return failed ? ExitCode::kNegative : ExitCode::kDone;
}

std::string to_text(const Findings& findings, bool only_problems) {
  std::string out;
  for (const auto& finding : findings)
    if (!only_problems || finding.state != Finding::State::kOk) out += to_text(finding);
  return out;
}

std::string to_json(const Findings& findings) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& finding : findings)
    list.push_back({{"check", finding.check},
                    {"state", name_of(finding.state)},
                    {"text", finding.text},
                    {"advice", finding.advice}});
  const nlohmann::ordered_json report = {{"healthy", exit_code_of(findings) == ExitCode::kDone}, {"findings", list}};
  // Texts of the kernel or of other people's files need not be UTF-8.
  return escape_json(report.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace hostcall::cli
