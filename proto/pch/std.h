// clang precompiles this for targets with many sources: the standard headers that most of them include. It holds no
// header of ours, so that a change recompiles no more than before. Sources still include what they use.
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
