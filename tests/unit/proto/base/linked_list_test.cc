#include "proto/base/linked_list.h"

#include <gtest/gtest.h>

#include <string>

namespace hostcall {
namespace {

struct Item : Linked {
  explicit Item(char item_name) : name(item_name) {}
  char name;
};

using List = LinkedList<Item>;

// Takes all.
std::string names(List& list) {
  std::string text;
  while (auto* item = list.pop_front()) text += item->name;
  return text;
}

class LinkedListTest : public testing::Test {
 protected:
  Item a_{'a'}, b_{'b'}, c_{'c'}, d_{'d'};
  List list_;
};

TEST_F(LinkedListTest, TakesAnObjectToItsFront) {
  EXPECT_EQ(list_.front(), nullptr);
  for (auto* item : {&b_, &a_, &c_}) list_.push_front(*item);
  list_.push_front(b_);
  EXPECT_EQ(list_.front(), &b_);
  EXPECT_EQ(names(list_), "bca") << "looking at the first one does not remove it";
}

TEST_F(LinkedListTest, GivesItsObjectsInOrder) {
  EXPECT_TRUE(list_.empty());
  EXPECT_EQ(list_.pop_front(), nullptr);
  for (auto* item : {&b_, &a_, &c_}) list_.push_back(*item);
  EXPECT_FALSE(list_.empty());
  EXPECT_TRUE(a_.is_linked());
  EXPECT_EQ(names(list_), "bac");
  EXPECT_FALSE(a_.is_linked());
  EXPECT_TRUE(list_.empty());
}

TEST_F(LinkedListTest, AnObjectLeavesFromAnywhere) {
  for (auto* item : {&a_, &b_, &c_, &d_}) list_.push_back(*item);
  for (auto* item : {&b_, &a_, &d_}) item->unlink();
  b_.unlink();
  EXPECT_EQ(names(list_), "c");
}

TEST_F(LinkedListTest, AnObjectThatDiesLeaves) {
  list_.push_back(a_);
  {
    Item brief('x');
    list_.push_back(brief);
    list_.push_back(b_);
  }
  EXPECT_EQ(names(list_), "ab");
}

TEST_F(LinkedListTest, AnObjectIsInOneListAtATime) {
  List other;
  list_.push_back(a_);
  list_.push_back(b_);
  other.push_back(a_);
  list_.push_back(b_);
  EXPECT_EQ(names(list_), "b");
  EXPECT_EQ(names(other), "a");
}

TEST_F(LinkedListTest, ListsAreAppended) {
  List other;
  list_.append(other);
  EXPECT_TRUE(list_.empty());
  other.push_back(a_);
  other.push_back(b_);
  list_.append(other);
  EXPECT_TRUE(other.empty());
  other.push_back(c_);
  list_.append(other);
  list_.append(other);
  list_.push_back(d_);
  EXPECT_EQ(names(list_), "abcd");
}

}  // namespace
}  // namespace hostcall
