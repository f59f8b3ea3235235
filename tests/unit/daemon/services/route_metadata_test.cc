// What the server of a routed service learns of its caller, which nothing that the caller says can change.
#include "daemon/services/route_metadata.h"

#include "tests/support/frames.h"
#include "tests/unit/daemon/services/routed_fixture.h"

namespace hostcall::daemon::test {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class RouteMetadataTest : public RoutedFixture {
 protected:
  RouteMetadataTest() : RoutedFixture("ttrpc") { use(R"(, "metadata": ["traceparent", "acme-*"])"); }

  // What the server gets of the caller's own metadata.
  Pairs passed(WireClient& caller, const Pairs& metadata) {
    const auto before = backend_.calls.size();
    const auto stream = ask(caller, "Get", "", Shape::kUnary, {}, metadata);
    if (backend_.calls.size() == before) {
      ADD_FAILURE() << caller.finish(stream).status.message;
      return {};
    }
    const auto got = backend_.last().metadata;
    answered(caller, stream, "");
    EXPECT_GE(got.size(), 4u);
    EXPECT_EQ(got[0], (std::pair<std::string, std::string>("hostcall-vm", "web1")));
    const auto own = std::ranges::find_if(got, [](const auto& pair) { return !pair.first.starts_with("hostcall-"); });
    EXPECT_EQ(own - got.begin(), 4);
    return {own, got.end()};
  }
  Pairs passed(const Pairs& metadata) { return passed(*caller_, metadata); }
  Status refused(const Pairs& metadata) {
    return caller_->finish(ask(*caller_, "Get", "", Shape::kUnary, {}, metadata)).status;
  }
  void expect_refused_for(const Pairs& metadata, const std::string& text) {
    expect_refused(refused(metadata), Code::kInvalidArgument, text);
    expect_nothing_left();
  }

  std::unique_ptr<WireClient> caller_ = guest("web1");
};

TEST_F(RouteMetadataTest, TheServerLearnsWhoCalls) {
  ask(*caller_);
  ask(*caller_);
  const auto registration = std::to_string(rig_.vm("web1").registration);
  EXPECT_THAT(backend_.calls[0].metadata,
              ElementsAre(Pair("hostcall-vm", "web1"), Pair("hostcall-incarnation", registration + "-boot-1"),
                          Pair("hostcall-evidence", "unix"), Pair("hostcall-call-id", "1")));
  EXPECT_THAT(backend_.calls[1].metadata, testing::Contains(Pair("hostcall-call-id", "2")));
}

TEST_F(RouteMetadataTest, ACallerWithoutHelloHasNoBoot) {
  const auto base = peer("db1");
  ask(*base);
  const auto registration = std::to_string(rig_.vm("db1").registration);
  EXPECT_THAT(backend_.last().metadata,
              AllOf(Contains(Pair("hostcall-vm", "db1")), Contains(Pair("hostcall-incarnation", registration))));
}

TEST_F(RouteMetadataTest, AUuidIsToldIfThereIsOne) {
  rig_.write_vms(R"({"vms": [{"name": "web1", "uuid": "01234567-89ab-cdef-0123-456789abcdef", "unix_path": ")" +
                 rig_.path_of("web1") + "\"}]}");
  ASSERT_TRUE(rig_.reload().ok());
  const auto caller = guest("web1");
  ask(*caller);
  ASSERT_GE(backend_.last().metadata.size(), 2u);
  EXPECT_EQ(backend_.last().metadata[1],
            (std::pair<std::string, std::string>("hostcall-vm-uuid", "01234567-89ab-cdef-0123-456789abcdef")));
}

TEST_F(RouteMetadataTest, TheBootIdIsTextWhateverTheGuestSays) {
  const auto caller = guest("web1", "a\nb\"\x7f");
  ask(*caller);
  for (const auto& [key, value] : backend_.last().metadata)
    for (const char c : value) EXPECT_GE(c, ' ') << key;
}

TEST_F(RouteMetadataTest, OnlyWhatTheEntryListsIsPassedOn) {
  EXPECT_THAT(passed({{"traceparent", "00-1"}, {"other", "x"}, {"acme-a", "1"}, {"acme", "2"}, {"traceparent2", "3"}}),
              ElementsAre(Pair("traceparent", "00-1"), Pair("acme-a", "1")));
  EXPECT_THAT(passed({{"TraceParent", "a"}, {"ACME-B", "b"}, {"acme-", ""}}),
              ElementsAre(Pair("traceparent", "a"), Pair("acme-b", "b"), Pair("acme-", "")));
  use();
  EXPECT_THAT(passed({{"traceparent", "00-1"}, {"acme-a", "1"}}), IsEmpty()) << "nothing is listed";
}

TEST_F(RouteMetadataTest, DuplicatesKeepTheirOrder) {
  EXPECT_THAT(passed({{"acme-a", "1"}, {"acme-b", "2"}, {"acme-a", "3"}, {"acme-a", "1"}}),
              ElementsAre(Pair("acme-a", "1"), Pair("acme-b", "2"), Pair("acme-a", "3"), Pair("acme-a", "1")));
}

// Even if everything else is passed on.
TEST_F(RouteMetadataTest, NobodyCanSayWhatOnlyHostcallSays) {
  use(R"(, "metadata": ["*"])");
  const Pairs spoofs = {{"hostcall-vm", "db1"},
                        {"Hostcall-VM", "db1"},
                        {"HOSTCALL-VM", "db1"},
                        {"hostcall_vm", "db1"},
                        {"hostcall.vm", "db1"},
                        {"hostcall", "db1"},
                        {"hostcall-", "db1"},
                        {"hostcall-vm-uuid", "x"},
                        {"hostcall-anything", "x"},
                        {std::string("hostcall-vm\0x", 13), "db1"},
                        {std::string("\0hostcall-vm", 12), "db1"},
                        {" hostcall-vm", "db1"},
                        {"hostcall-vm ", "db1"},
                        {"hostcall vm", "db1"},
                        {"\thostcall-vm", "db1"},
                        {"ho\xc5\xbftcall-vm", "db1"},      // U+017F folds to s
                        {"hostcall\xe2\x80\x90vm", "db1"},  // U+2010, a hyphen
                        {"\xef\xbd\x88ostcall-vm", "db1"},  // U+FF48, a wide h
                        {"hostcall\xc2\xad-vm", "db1"},     // U+00AD, a soft hyphen
                        {"hostcall-vm\xff", "db1"},
                        {"", "db1"},
                        {":path", "/"}};
  EXPECT_THAT(passed(spoofs), IsEmpty());
  EXPECT_THAT(passed({{"plain", "1"}, {"hostcallx", "2"}, {"x-hostcall-vm", "3"}}),
              ElementsAre(Pair("plain", "1"), Pair("hostcallx", "2"), Pair("x-hostcall-vm", "3")));
}

TEST_F(RouteMetadataTest, SoManyAndNoMore) {
  Pairs many;
  for (std::size_t i = 0; i < RouteMetadata::kMaxPairs; ++i) many.emplace_back("acme-a", std::to_string(i));
  EXPECT_EQ(passed(many).size(), RouteMetadata::kMaxPairs);
  many.emplace_back("unlisted", "x");
  EXPECT_EQ(passed(many).size(), RouteMetadata::kMaxPairs);
  many.emplace_back("acme-a", "x");
  expect_refused_for(many, "at most 32 metadata");
}

TEST_F(RouteMetadataTest, SoManyBytesAndNoMore) {
  const std::string all(RouteMetadata::kMaxBytes - 6, 'x');
  EXPECT_THAT(passed({{"acme-a", all}}), ElementsAre(Pair("acme-a", all)));
  expect_refused_for({{"acme-a", all + "x"}}, "8192 bytes together");
  expect_refused_for({{"acme-a", all}, {"acme-b", ""}}, "8192 bytes together");
  EXPECT_THAT(passed({{"unlisted", std::string(100'000, 'x')}, {std::string(100'000, 'k'), ""}}), IsEmpty());
}

TEST_F(RouteMetadataTest, ValuesAreText) {
  EXPECT_THAT(passed({{"acme-a", "\xe2\x82\xac\n"}}), ElementsAre(Pair("acme-a", "\xe2\x82\xac\n")));
  for (const auto* value : {"\xff", "a\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82"})
    expect_refused_for({{"acme-a", value}}, "is not UTF-8");
  EXPECT_THAT(passed({{"unlisted", "\xff"}}), IsEmpty());
}

// They are paid for, but nothing of them is kept.
TEST_F(RouteMetadataTest, AnyNumberThatIsNotListedIsLeftOut) {
  Pairs many;
  for (int i = 0; i < 10'000; ++i) many.emplace_back("hostcall-vm", "db1");
  many.emplace_back("traceparent", "last");
  EXPECT_THAT(passed(many), ElementsAre(Pair("traceparent", "last")));
  EXPECT_TRUE(works(*caller_));
  expect_nothing_left();
}

// A pair without key or value, and fields that no Request has.
TEST_F(RouteMetadataTest, OddPairs) {
  using hostcall::test::field;
  use(R"(, "metadata": ["*"])");
  const auto base = peer("web1");
  const auto request = field(1, kInventory) + field(2, "Get") + field(5, "") + field(5, field(1, "only-key")) +
                       field(5, field(2, "only-value")) +
                       field(5, field(1, "first") + field(1, "second") + field(2, "v")) +
                       field(5, field(1, "a") + field(2, "b") + field(9, "unknown")) + field(9, "unknown");
  base->send_raw(hostcall::test::frame(wire::FrameType::kRequest, 1, 0, request));
  settle();
  ASSERT_EQ(backend_.calls.size(), 1u);
  auto got = backend_.last().metadata;
  got.erase(got.begin(), got.begin() + 4);
  EXPECT_THAT(got, ElementsAre(Pair("only-key", ""), Pair("second", "v"), Pair("a", "b")));
}

}  // namespace
}  // namespace hostcall::daemon::test
