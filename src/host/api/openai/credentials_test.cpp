#include "api/openai/credentials.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace llmd::openai {
namespace {

TEST(Authorized, NeedsTheWholeKeyAsBearerToken) {
  struct Row {
    const char* name;
    std::optional<std::string_view> header;
    bool allowed;
  };
  const Row table[] = {
      {"right", "Bearer key-1", true},
      {"scheme in small letters", "bearer key-1", true},
      {"spaces", "Bearer   key-1 ", true},
      {"missing", std::nullopt, false},
      {"empty", "", false},
      {"no scheme", "key-1", false},
      {"other scheme", "Basic key-1", false},
      {"no key", "Bearer ", false},
      {"prefix", "Bearer key-", false},
      {"longer", "Bearer key-1key-1", false},
      {"other", "Bearer key-2", false},
  };
  for (const Row& row : table) EXPECT_EQ(authorized("key-1", row.header), row.allowed) << row.name;
  EXPECT_TRUE(authorized("", std::nullopt)) << "no key set: everyone may";
}

TEST(Authorized, TakesTheKeyInEitherHeader) {
  EXPECT_TRUE(authorized("k", GivenKeys{.authorization = "Bearer k", .x_api_key = std::nullopt}));
  EXPECT_TRUE(authorized("k", GivenKeys{.authorization = std::nullopt, .x_api_key = "k"}));
  EXPECT_TRUE(authorized("k", GivenKeys{.authorization = "Bearer x", .x_api_key = "k"}));
  EXPECT_FALSE(authorized("k", GivenKeys{.authorization = "Bearer x", .x_api_key = "Bearer k"}));
  EXPECT_FALSE(authorized("k", GivenKeys{.authorization = std::nullopt, .x_api_key = ""}));
  EXPECT_FALSE(authorized("k", GivenKeys{}));
  EXPECT_TRUE(authorized("", GivenKeys{}));
}

TEST(RequestId, FromAClientIsBoundedAndPlain) {
  EXPECT_EQ(accept_request_id("abc-1.2_3:4"), "abc-1.2_3:4");
  EXPECT_EQ(accept_request_id(std::nullopt), std::nullopt);
  EXPECT_EQ(accept_request_id(""), std::nullopt);
  EXPECT_EQ(accept_request_id("a b"), std::nullopt);
  EXPECT_EQ(accept_request_id("a\r\nb"), std::nullopt);
  EXPECT_EQ(accept_request_id(std::string(129, 'a')), std::nullopt);
  EXPECT_EQ(accept_request_id(std::string(128, 'a')), std::string(128, 'a'));
}

TEST(RequestId, OfOursIsAcceptedAsOne) {
  const std::string id = make_request_id(0x1234, 0xff);
  EXPECT_EQ(id, "0000000000001234000000ff");
  EXPECT_EQ(accept_request_id(id), id);
}

}  // namespace
}  // namespace llmd::openai
