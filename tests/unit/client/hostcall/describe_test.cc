// hostcall describe and call, with services of a host that routes them to other programs.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/unit/client/cli/proto_files.h"
#include "tests/unit/client/hostcall/verb_fixture.h"

namespace hostcall::test {
namespace {

using testing::HasSubstr;

const ProtoFiles kStock = {{"acme/v1/types.proto", R"(syntax = "proto3"; package acme.v1;
message Item { string item_name = 1; })"},
                           {"acme/v1/stock.proto", R"(syntax = "proto3"; package acme.v1; import "acme/v1/types.proto";
// Keeps the stock.
service Stock { rpc Get(Item) returns (Item); rpc All(Item) returns (stream Item); })"}};

// A service without what it imports.
std::string half_set() {
  google::protobuf::FileDescriptorSet set;
  *set.add_file() = parse_proto("half.proto", R"(syntax = "proto3"; package acme.v1; import "none.proto";
service Half { rpc M(None) returns (None); })");
  return set.SerializeAsString();
}

v1::ListServicesResponse listed() {
  v1::ListServicesResponse services;
  for (const auto* name : {"acme.v1.Inventory/*", "acme.v1.Stock/All", "acme.v1.Stock/Get"})
    services.add_methods()->set_method(name);
  return services;
}

// The host describes acme.v1.Stock, which it also serves, and half of acme.v1.Half; acme.v1.Denied it may not, and
// acme.v1.Bad is no description.
void describe(HostConnection& connection, SeenCall& call) {
  v1::DescriptorsRequest request;
  request.ParseFromString(call.payload);
  v1::DescriptorsResponse response;
  if (request.service() == "acme.v1.Denied")
    return connection.respond(call, {wire::Code::kPermissionDenied, "denied by 1.json:1", {}});
  if (request.service() == "acme.v1.Bad")
    response.set_file_descriptor_set("\xff");
  else if (request.service() == "acme.v1.Stock")
    response.set_file_descriptor_set(descriptor_set_of(kStock));
  else if (request.service() == "acme.v1.Half")
    response.set_file_descriptor_set(half_set());
  else
    return connection.respond(call,
                              {wire::Code::kNotFound, "the host has no service \"" + request.service() + "\"", {}});
  connection.respond(call, response.SerializeAsString());
}

Script routing_script() {
  auto script = extended_script();
  script.on_call = [](HostConnection& connection, SeenCall& call) {
    if (call.method == "ListServices") return connection.respond(call, listed().SerializeAsString());
    if (call.method == "Descriptors") return describe(connection, call);
    connection.respond(call, call.payload);
  };
  return script;
}

class Describe : public VerbFixture {
 protected:
  Describe() : VerbFixture("describe", routing_script()) {}
  // Other verbs.
  Finished call(Words more) const {
    more.insert(more.begin(), "call");
    return other(more);
  }
  Finished other(const Words& more) const {
    Words all{HOSTCALL_PROGRAM, "--address", host_.address()};
    all.insert(all.end(), more.begin(), more.end());
    return test::run(all);
  }
  std::string file(const std::string& bytes) const { return directory_.write("set.pb", bytes); }
};

void expect_failure(const Finished& run, int code, const std::string& text) {
  EXPECT_EQ(run.code, code) << run.errors;
  EXPECT_THAT(run.errors, HasSubstr(text));
  EXPECT_TRUE(run.errors.starts_with("hostcall: ")) << run.errors;
  EXPECT_EQ(run.output, "");
}

TEST_F(Describe, WithoutAnArgumentNamesWhatTheHostDescribes) {
  EXPECT_EQ(run({}).output, "acme.v1.Stock\n");
  EXPECT_EQ(run({"-q"}).output, "acme.v1.Stock/All\nacme.v1.Stock/Get\n");
  EXPECT_EQ(run({"--json"}).output, "{\"services\":[\"acme.v1.Stock\"]}\n");
}

TEST_F(Describe, ServicesListsAlsoWhatTheHostDoesNotDescribe) {
  EXPECT_EQ(other({"services", "-q"}).output, "acme.v1.Inventory/*\nacme.v1.Stock/All\nacme.v1.Stock/Get\n");
  EXPECT_THAT(other({"services"}).output, HasSubstr("\nacme.v1.Inventory/*  any "));
}

TEST_F(Describe, PrintsAServiceOfTheHost) {
  const auto text = run({"acme.v1.Stock"});
  EXPECT_EQ(text.code, 0) << text.errors;
  EXPECT_EQ(text.output, R"(// acme/v1/stock.proto
syntax = "proto3";

package acme.v1;

import "acme/v1/types.proto";

// Keeps the stock.
service Stock {
  rpc Get(.acme.v1.Item) returns (.acme.v1.Item);
  rpc All(.acme.v1.Item) returns (stream .acme.v1.Item);
}

// acme/v1/types.proto
syntax = "proto3";

package acme.v1;

message Item {
  string item_name = 1;
}
)");
  EXPECT_EQ(run({"acme.v1.Stock", "-q"}).output, "acme.v1.Stock/Get\nacme.v1.Stock/All\n");
  EXPECT_EQ(run({"acme.v1.Stock/All", "-q"}).output, "acme.v1.Stock/All\n");
  EXPECT_EQ(run({"acme.v1.Stock/All", "--json"}).output,
            R"({"service":"acme.v1.Stock","methods":[{"name":"All","request":"acme.v1.Item","reply":"acme.v1.Item",)"
            R"("clientStreaming":false,"serverStreaming":true}]})"
            "\n");
}

TEST_F(Describe, ACallTakesJsonByTheHostsDescription) {
  const auto get = call({"acme.v1.Stock/Get", R"({"itemName": "screw"})", "--json"});
  EXPECT_EQ(get.output, "{\"itemName\":\"screw\"}\n") << get.errors;
  expect_failure(call({"acme.v1.Stock/Get", R"({"name": "screw"})"}), 2, "does not fit acme.v1.Item");
  expect_failure(call({"acme.v1.Stock/Got"}), 127,
                 "the host describes no method acme.v1.Stock/Got; it has acme.v1.Stock/Get, acme.v1.Stock/All\n");
}

TEST_F(Describe, SaysWhoCanHelpWithoutDescriptors) {
  for (const auto& run :
       {call({"acme.v1.Inventory/List"}), run({"acme.v1.Inventory"}), run({"acme.v1.Inventory/List"})})
    expect_failure(run, 127, "ask the host's administrator for them, or give --descriptors FILE");
  for (const auto& run : {call({"acme.v1.None/List"}), run({"acme.v1.None"})})
    expect_failure(run, 127, "no service \"acme.v1.None\"; this VM may call acme.v1.Inventory, acme.v1.Stock\n");
  expect_failure(call({"acme.v1.Denied/List"}), 126, "denied by 1.json:1, or give --descriptors FILE");
  expect_failure(call({"acme.v1.Bad/List"}), 125, "the host's description of its services is malformed");
  expect_failure(run({"acme.v1.Half"}), 127, "the host describes acme.v1.Half without its imports, or wrongly");
}

TEST_F(Describe, AFileStandsInForTheHost) {
  const auto path = file(descriptor_set_of({{"i.proto", R"(syntax = "proto3"; package acme.v1;
service Inventory { rpc List(Filter) returns (Filter); } message Filter { int64 most_items = 1; })"}}));
  EXPECT_EQ(run({"--descriptors", path}).output, "acme.v1.Inventory\n");
  EXPECT_EQ(run({"--descriptors", path, "-q"}).output, "acme.v1.Inventory/List\n");
  EXPECT_THAT(run({"acme.v1.Inventory/List", "--descriptors", path}).output, HasSubstr("  int64 most_items = 1;\n"));
  EXPECT_EQ(call({"acme.v1.Inventory/List", R"({"mostItems": 7})", "--descriptors", path, "--json"}).output,
            "{\"mostItems\":\"7\"}\n");
  for (const auto* name : {"acme.v1.Stock", "acme.v1.Stock/Get"})
    expect_failure(run({name, "--descriptors", path}), 127, "; it has acme.v1.Inventory\n");
  expect_failure(call({"acme.v1.Inventory/Lost", "--descriptors", path}), 127,
                 path + " describes no method acme.v1.Inventory/Lost; it has acme.v1.Inventory/List\n");
}

TEST_F(Describe, SaysWhatIsWrongWithTheFile) {
  const auto fifo = directory_ / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const auto expect_both = [this](const std::string& path, int code, const std::string& text) {
    const auto* timeout = code == 124 ? "300ms" : "1h";
    expect_failure(run({"acme.v1.Stock", "--descriptors", path, "--timeout", timeout}), code, text);
    expect_failure(call({"acme.v1.Stock/Get", "--descriptors", path, "--timeout", timeout}), code, text);
  };
  expect_both(fifo, 124, "fifo did not end before the deadline");
  expect_both("/dev/null", 2, "/dev/null describes no service");
  expect_both(directory_ / "none", 2, "none: cannot be opened");
  expect_both("", 2, "the name of a file is empty");
  expect_both(file("text"), 2, "set.pb is not a FileDescriptorSet of at most 2000 files; protoc --include_imports");
  expect_both(file(descriptor_set_of(kStock).substr(0, 200)), 2, "set.pb is not a FileDescriptorSet");
  const auto endless = run({"acme.v1.Stock", "--descriptors", "/dev/zero"});
  expect_failure(endless, 2, "/dev/zero is larger than the maximum of 1048576 bytes");
  expect_failure(run({"--descriptors", "/dev/null"}), 2, "describes no service");
}

}  // namespace
}  // namespace hostcall::test
