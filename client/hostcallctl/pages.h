// Follows the pages of a list and prints each as it comes, so that a list of any length takes little memory.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "client/cli/invocation.h"
#include "client/cli/output.h"

namespace hostcall::cli::host {

// Calls `take` with each page of the list. Throws Failure.
template <class Method, class Take>
void each_page(Invocation& invocation, typename Method::Request request, Take take) {
  for (;;) {
    auto page = invocation.read<Method>(request);
    request.set_after(page.next());
    const bool is_last = page.next() == decltype(page.next()){};
    page.clear_next();
    take(page, is_last);
    if (is_last) return;
  }
}

// The elements of the page's list, as JSON: "{…},{…}". The list is the page's first field.
inline std::string elements_of(const google::protobuf::MessageLite& page) {
  const auto json = json_of(page);
  const auto first = json.find('[') + 1;
  return json.substr(first, json.rfind(']') - first);
}

// Prints the list: with --json as one document, {"NAME":[…]}, else what `text_of` makes of each page.
template <class Method, class TextOf>
void show_pages(Invocation& invocation, const typename Method::Request& request, std::string_view name,
                TextOf text_of) {
  auto start = "{\"" + std::string(name) + "\":[";
  bool has_elements = false;
  each_page<Method>(invocation, request, [&](const typename Method::Response& page, bool is_last) {
    if (!invocation.json()) return print(text_of(page));
    const auto elements = elements_of(page);
    print(std::exchange(start, {}) + (has_elements && !elements.empty() ? "," : "") + elements +
          (is_last ? "]}\n" : ""));
    has_elements |= !elements.empty();
  });
}

}  // namespace hostcall::cli::host
