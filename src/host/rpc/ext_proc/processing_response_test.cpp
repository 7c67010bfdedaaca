#include "rpc/ext_proc/processing_response.h"

#include <gtest/gtest.h>

#include <bit>
#include <initializer_list>
#include <optional>

#include "base/protobuf_wire.h"

namespace llmd::rpc::ext_proc {
namespace {

using Field = WireReader::Field;

std::string text_of(const Message& message) {
  std::string text;
  for (const net::H2Bytes& piece : message) text += piece.bytes;
  return text;
}

std::vector<Field> fields_of(std::string_view message) {
  WireReader reader{message};
  std::vector<Field> all;
  for (Field field; reader.next(field);) all.push_back(field);
  EXPECT_FALSE(reader.broken());
  return all;
}

/// What lies at the end of a path of field numbers, each of which must be there once.
std::optional<Field> at(std::string_view message, std::initializer_list<std::uint32_t> path) {
  std::optional<Field> found;
  for (const std::uint32_t number : path) {
    if (found) message = found->bytes;
    found.reset();
    for (const Field& field : fields_of(message)) {
      if (field.number != number) continue;
      if (found) return {};
      found = field;
    }
    if (!found) return {};
  }
  return found;
}

std::vector<std::pair<std::string, std::string>> headers_of(std::string_view mutation) {
  std::vector<std::pair<std::string, std::string>> headers;
  for (const Field& option : fields_of(mutation)) {
    EXPECT_EQ(option.number, 1U) << "set_headers alone";
    EXPECT_EQ(fields_of(option.bytes).size(), 1U) << "no append_action: it replaces";
    const auto name = at(option.bytes, {1, 1});
    const auto raw = at(option.bytes, {1, 3});
    EXPECT_TRUE(name && raw && !at(option.bytes, {1, 2}));
    headers.emplace_back(name ? name->bytes : "", raw ? raw->bytes : "");
  }
  return headers;
}

TEST(ProcessingResponse, ChangesHeaders) {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  for (const bool of_response : {false, true}) {
    const std::uint32_t number = of_response ? 2 : 1;
    const HeadersReply reply{.of_response = of_response,
                             .set_headers = {{"x-a", "1"}, {"x-b", std::string_view{"\xff\0", 2}}},
                             .clear_route_cache = true,
                             .dynamic_metadata = "struct"};
    const std::string text = text_of(headers_message(reply));
    const auto mutation = at(text, {number, 1, 2});
    ASSERT_TRUE(mutation);
    EXPECT_EQ(headers_of(mutation->bytes), (Pairs{{"x-a", "1"}, {"x-b", std::string{"\xff\0", 2}}}));
    EXPECT_EQ(at(text, {number, 1, 5})->value, 1U);
    EXPECT_EQ(at(text, {8})->bytes, "struct");
    EXPECT_EQ(fields_of(text).size(), 2U);
  }
  const std::string nothing = text_of(headers_message({}));
  EXPECT_EQ(at(nothing, {1, 1})->bytes, "");
  EXPECT_EQ(fields_of(nothing).size(), 1U);
}

TEST(ProcessingResponse, SendsBodiesFromWhereTheyLie) {
  // Around each size at which a length takes one byte more, in any of the messages around the body.
  for (const std::size_t size : {0U, 1U, 100U, 117U, 119U, 121U, 123U, 125U, 127U, 128U, 16'369U, 16'372U, 16'375U,
                                 16'378U, 16'381U, 16'384U, 2'097'130U, 2'097'140U, 2'097'152U}) {
    for (const bool ends : {false, true}) {
      for (const bool of_response : {false, true}) {
        SCOPED_TRACE(testing::Message() << size << " bytes, ends " << ends << ", of a response " << of_response);
        net::H2Bytes body = net::own(std::string(size, 'b'));
        const char* const lies_at = body.bytes.data();
        const Message message = body_message(of_response, std::move(body), ends, ends ? "struct" : "");
        ASSERT_EQ(message.at(1).bytes.data(), lies_at);
        const std::string text = text_of(message);
        const std::uint32_t number = of_response ? 4 : 3;
        const auto streamed = at(text, {number, 1, 3, 3});
        ASSERT_TRUE(streamed);
        EXPECT_EQ(at(streamed->bytes, {1})->bytes, std::string(size, 'b'));
        EXPECT_EQ(at(streamed->bytes, {2}).has_value(), ends);
        EXPECT_EQ(at(text, {8}).has_value(), ends);
      }
    }
  }
}

TEST(ProcessingResponse, LeavesTrailersAsTheyAre) {
  EXPECT_EQ(at(text_of(trailers_message(false)), {5})->bytes, "");
  EXPECT_EQ(at(text_of(trailers_message(true)), {6})->bytes, "");
}

TEST(ProcessingResponse, AnswersAtOnce) {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  const std::string text = text_of(immediate_message({.status = 429, .set_headers = {{"x-a", "1"}}, .body = "later"}));
  EXPECT_EQ(at(text, {7, 1, 1})->value, 429U);
  EXPECT_EQ(headers_of(at(text, {7, 2})->bytes), (Pairs{{"x-a", "1"}}));
  EXPECT_EQ(at(text, {7, 3})->bytes, "later");
  EXPECT_FALSE(at(text_of(immediate_message({.status = 500})), {7, 2}));
}

TEST(ProcessingResponse, TellsTheDestinationAndItsScores) {
  const std::string plain = destination_metadata("10.0.0.1:80,10.0.0.2:80");
  EXPECT_EQ(at(plain, {1, 1})->bytes, "envoy.lb");
  EXPECT_EQ(at(plain, {1, 2, 5, 1, 1})->bytes, "x-gateway-destination-endpoint");
  EXPECT_EQ(at(plain, {1, 2, 5, 1, 2, 3})->bytes, "10.0.0.1:80,10.0.0.2:80");

  const std::string scored = destination_metadata("a:1", {{"a:1", 0.75}, {"b:2", 0.0}});
  const auto inner = at(scored, {1, 2, 5});
  ASSERT_TRUE(inner);
  const std::vector<Field> entries = fields_of(inner->bytes);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(at(entries[1].bytes, {1})->bytes, "x-gateway-destination-endpoint-scores");
  std::vector<std::pair<std::string, double>> scores;
  for (const Field& entry : fields_of(at(entries[1].bytes, {2, 5})->bytes)) {
    const auto number = at(entry.bytes, {2, 2});
    ASSERT_TRUE(number && number->type == WireReader::Type::kFixed64) << "zero is told, not left out";
    scores.emplace_back(at(entry.bytes, {1})->bytes, std::bit_cast<double>(number->value));
  }
  EXPECT_EQ(scores, (std::vector<std::pair<std::string, double>>{{"a:1", 0.75}, {"b:2", 0.0}}));
}

}  // namespace
}  // namespace llmd::rpc::ext_proc
