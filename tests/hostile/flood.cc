#include "tests/hostile/flood.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "tests/hostile/stage.h"
#include "tests/support/patience.h"

namespace hostcall::test {
namespace {

std::string text_of(const Tally& tally) {
  std::string text;
  for (const auto& [word, count] : tally) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + word;
  return text;
}

bool has_all(const Tally& tally, const std::vector<std::string>& words) {
  return std::ranges::all_of(words, [&](const auto& word) { return tally.contains(word); });
}

// A round is short: on a busy machine the attacker may not have had its turn in it.
void attack_until_answered(Attacker& attacker, const Flood& flood, const Tally& tally, std::chrono::milliseconds time) {
  attacker.run(time);
  const auto is_answered = [&] { return has_all(tally, flood.must_come); };
  (void)eventually([&] {
    if (!is_answered()) attacker.run(time);
    return is_answered();
  });
}

void judge_replies(const Flood& flood, const Tally& tally) {
  for (const auto& word : flood.must_come) EXPECT_TRUE(tally.contains(word)) << "there was no " << word;
  for (const auto& [word, count] : tally) {
    const bool is_expected = word == "RESOURCE_EXHAUSTED" ||
                             std::ranges::count(flood.must_come, word) + std::ranges::count(flood.may_come, word) > 0;
    EXPECT_TRUE(is_expected) << count << " " << word;
  }
}

}  // namespace

TEST_P(Floods, HurtNobodyElse) {
  const auto& flood = GetParam();
  Stage stage(flood.options);
  if (flood.prepare) flood.prepare(stage.daemon());
  Tally tally;
  stage.withstand(
      [&] {
        const auto attacker = std::make_shared<Attacker>(stage.hostile_path(), flood.script, flood.connections, tally);
        return [&, attacker](std::chrono::milliseconds time) { attack_until_answered(*attacker, flood, tally, time); };
      },
      flood.is_idle);
  std::printf("replies: %s\n", text_of(tally).c_str());
  judge_replies(flood, tally);
}

}  // namespace hostcall::test
