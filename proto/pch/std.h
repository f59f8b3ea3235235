// Precompiled where a target has enough sources to make up for it: headers of the standard library that most of them
// include. None of the project's, so that a change here compiles little again. A source still includes what it uses.
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>
