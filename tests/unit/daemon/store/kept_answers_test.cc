// KeptAnswers: lookup by owner and key; limits by count and by bytes, which keep the newest.
#include "daemon/store/kept_answers.h"

#include <gtest/gtest.h>

#include "daemon/store/transaction.h"

namespace hostcall::daemon::store {
namespace {

void add(KeptAnswers& answers, const std::string& owner, const std::string& key, std::size_t bytes = 1) {
  answers.add(std::make_shared<const KeptAnswer>(
      KeptAnswer{answers.next_number(), owner, key, "fingerprint", std::string(bytes, 'x')}));
}

TEST(KeptAnswers, AreFoundByOwnerAndKey) {
  KeptAnswers answers;
  add(answers, "a", "k");
  ASSERT_NE(answers.find("a", "k"), nullptr);
  EXPECT_EQ(answers.find("b", "k"), nullptr);
  EXPECT_EQ(answers.find("a", "l"), nullptr);
}

TEST(KeptAnswers, TheOldestAreForgottenByCount) {
  KeptAnswers answers;
  for (std::size_t i = 0; i <= kMaxAnswers; ++i) add(answers, "a", std::to_string(i));
  add(answers, "b", "0");
  EXPECT_EQ(answers.size(), kMaxAnswers + 1);
  EXPECT_EQ(answers.find("a", "0"), nullptr);
  EXPECT_NE(answers.find("a", "1"), nullptr);
  EXPECT_NE(answers.find("b", "0"), nullptr) << "each owner for itself";
  EXPECT_EQ(answers.stale(), std::vector<std::int64_t>{1});
}

TEST(KeptAnswers, TheOldestAreForgottenByBytes) {
  KeptAnswers answers;
  for (const auto* key : {"1", "2", "3"}) add(answers, "a", key, kMaxAnswerBytes / 2);
  EXPECT_EQ(answers.find("a", "1"), nullptr);
  EXPECT_NE(answers.find("a", "2"), nullptr);
  EXPECT_NE(answers.find("a", "3"), nullptr);
}

TEST(KeptAnswers, OfOneOwnerGoUpToANumber) {
  KeptAnswers answers;
  add(answers, "a", "k");
  add(answers, "b", "k");
  add(answers, "a", "l");
  add(answers, "a", "later");
  EXPECT_FALSE(answers.has_any("a", 0));
  EXPECT_TRUE(answers.has_any("a", 1));
  answers.forget("a", 3);
  EXPECT_EQ(answers.find("a", "k"), nullptr);
  EXPECT_EQ(answers.find("a", "l"), nullptr);
  EXPECT_NE(answers.find("a", "later"), nullptr);
  EXPECT_NE(answers.find("b", "k"), nullptr);
  EXPECT_FALSE(answers.has_any("a", 3));
  answers.forget("a", 4);
  EXPECT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers.bytes_of("a"), 0u);
}

}  // namespace
}  // namespace hostcall::daemon::store
