// The rest: see rest.h.
#include "client/cli/rest.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace hostcall::cli {
namespace {

constexpr std::string_view kSeparator = "--";

CLI::App* find_verb(const CLI::App& group, const std::string& name) {
  for (const auto* app : group.get_subcommands([](const CLI::App*) { return true; }))
    if (app->get_name() == name) return const_cast<CLI::App*>(app);
  return nullptr;
}

bool is_group(const CLI::App& app) {
  return !app.get_subcommands([](const CLI::App*) { return true; }).empty();
}

bool takes_value(const CLI::App& root, const CLI::App& verb, const std::string& option) {
  const auto* found = verb.get_option_no_throw(option);
  if (found == nullptr) found = root.get_option_no_throw(option);
  return found != nullptr && found->get_items_expected_min() > 0;
}

// Of an option, or of letters behind one "-": whether the next word is its value.
bool next_is_value(const CLI::App& root, const CLI::App& verb, const std::string& word) {
  if (word.starts_with("--")) return takes_value(root, verb, word);
  const auto first = std::find_if(word.begin() + 1, word.end(),
                                  [&](char letter) { return takes_value(root, verb, std::string("-") + letter); });
  return first != word.end() && first + 1 == word.end();
}

}  // namespace

std::size_t find_rest(CLI::App& root, const std::vector<std::string>& words,
                      const std::function<bool(CLI::App& verb)>& has_rest) {
  auto* app = &root;
  bool options_end = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto& word = words[i];
    if (!options_end && word == kSeparator) {
      options_end = true;
    } else if (!options_end && word.size() > 1 && word.starts_with('-')) {
      i += next_is_value(root, *app, word) ? 1 : 0;
    } else if (!is_group(*app)) {
      return std::min(i + 1, words.size());
    } else {
      app = options_end ? nullptr : find_verb(*app, word);
      if (app == nullptr || (!is_group(*app) && !has_rest(*app))) break;
    }
  }
  return words.size();
}

}  // namespace hostcall::cli
