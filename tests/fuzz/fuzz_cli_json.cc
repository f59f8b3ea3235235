// Fuzzes the command lines' JSON: a request's text becomes a message or an error in one plain line; a message becomes
// plain text that means the same message; and lines of standard input come one by one.
//
// Input: a line end and the JSON, or one byte for the way and choices.
#include <nlohmann/json.hpp>

#include "client/cli/documents.h"
#include "client/cli/schema.h"
#include "proto/base/escape.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/json_text.h"
#include "tests/fuzz/messages.h"

namespace hostcall::fuzz {
namespace {

namespace pb = google::protobuf;
using cli::JsonStyle;
using cli::Schema;

constexpr std::string_view kKeys[] = {
    "key",     "value",  "lifetime",     "previous", "idempotencyKey", "then",           "else",
    "compare", "put",    "get",          "delete",   "target",         "createRevision", "mod_revision",
    "version", "prefix", "fromRevision", "payload",  "features",       "bootId",         "record",
    "name",    "tags",   "limits",       "vmmUid",   "comparison",     "clientName",     "unknown",
    ""};
constexpr std::string_view kValues[] = {"/self/a",
                                        "aGk=",
                                        "aGk",
                                        "-_",
                                        "LIFETIME_BOOT",
                                        "1",
                                        "-1",
                                        "1e3",
                                        "NaN",
                                        "COMPARISON_LESS",
                                        "\\ud83d\\ude00",
                                        "\\ud800",
                                        "\xF0\x9F\x98\x80",
                                        ""};
const std::vector<std::string> kWords = {"/self/a", "",           "web1", "\x1b[0m", "\u202e",
                                         "\u2028",  "\U000E0041", "\"\\", "\xff"};

void check_plain(std::string_view json) {
  while (!json.empty()) {
    const auto line = json.substr(0, json.find('\n'));
    require(is_plain(line), "JSON has nothing that drives a terminal");
    json.remove_prefix(std::min(line.size() + 1, json.size()));
  }
}

// Of two texts of one message: -0 is read as the integer 0, so it is numbers that are the same, not their digits.
bool same_values(const std::string& one, const std::string& other) {
  return nlohmann::json::parse(one) == nlohmann::json::parse(other);
}

// The text of a message means the same message.
void check_message(const pb::Descriptor& type, std::string_view bytes) {
  const auto& schema = Schema::built_in();
  const auto json = schema.to_json(type.full_name(), bytes, JsonStyle::kPretty);
  require(json.has_value() == (parse_as(type, bytes) != nullptr), "what is a message has a text");
  if (!json) return;
  check_plain(*json);
  const auto back = schema.from_json(type.full_name(), *json);
  require(back.ok(), "our own JSON is readable");
  const auto again = schema.to_json(type.full_name(), back.value(), JsonStyle::kPretty);
  require(again && same_values(*again, *json), "and means the same");
}

void check_json(const pb::Descriptor& type, const std::string& json) {
  const auto bytes = Schema::built_in().from_json(type.full_name(), json);
  if (!bytes.ok()) {
    require(!bytes.error().message().empty() && is_plain(bytes.error().message()), "an error is one plain line");
    return;
  }
  require(parse_as(type, bytes.value()) != nullptr, "JSON that is accepted becomes a message");
  check_message(type, bytes.value());
}

void check_documents(const std::string& text) {
  cli::Documents documents(text);
  std::size_t bytes = 0;
  while (const auto line = documents.next_line()) {
    require(line->find('\n') == line->npos && !line->empty(), "a document is a line");
    bytes += line->size();
  }
  require(bytes <= text.size() && documents.ended(), "each line comes once");
}

}  // namespace
}  // namespace hostcall::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace hostcall::fuzz;
  Choices choices(bytes, size);
  const auto way = choices.byte();
  const auto* method = way == kPlainText ? find_method("hostcall.v1.Store", "Txn") : choices.of(all_methods());
  if (way != kPlainText && way % 2 == 0) {
    const auto& type = way % 4 == 0 ? *method->input_type() : *method->output_type();
    check_message(type, MessageMaker(choices, kWords).make(type));
    return 0;
  }
  const auto json = way == kPlainText ? std::string(choices.rest()) : JsonText(choices, {kKeys, kValues}).document();
  check_json(*method->input_type(), json);
  check_documents(json);
  return 0;
}
