#include "dispatch/sse_relay.h"

#include <gtest/gtest.h>

#include <string>

#include "base/rng.h"

namespace llmd::dispatch {
namespace {

constexpr std::string_view kStream =
    "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
    ": a comment\n\n"
    "event: x\r\ndata: {\"choices\":[]}\r\n\r\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n"
    "data: [DONE]\n\n";

TEST(SseRelay, HandsOnTheSameBytesInWholeEventsHoweverTheyAreCut) {
  Rng rng{3};
  for (int round = 0; round < 500; ++round) {
    SseRelay relay;
    std::string out;
    std::string_view rest = kStream;
    while (!rest.empty()) {
      const std::size_t size = std::min<std::size_t>(rest.size(), 1 + rng.below(1 + rng.below(120)));
      const std::string piece{rest.substr(0, size)};
      rest.remove_prefix(size);
      const std::string_view ready = relay.feed(piece);
      const bool whole = ready.empty() || ready.ends_with("\n\n") || ready.ends_with("\n\r\n");
      ASSERT_TRUE(whole) << "round " << round << ": " << ready;
      out += ready;
    }
    ASSERT_EQ(out, kStream) << "round " << round;
    ASSERT_EQ(relay.held_bytes(), 0U);
    ASSERT_EQ(relay.events(), 3U);
    ASSERT_TRUE(relay.complete());
    ASSERT_FALSE(relay.failed());
    ASSERT_EQ(relay.usage().value().completion_tokens, 2U);
  }
}

TEST(SseRelay, LeavesOutTheUsageAloneHoweverTheStreamIsCut) {
  std::string expected{kStream};
  const std::size_t usage = expected.find("data: {\"choices\":[],\"usage\"");
  expected.erase(usage, expected.find("data: [DONE]") - usage);
  Rng rng{4};
  for (int round = 0; round < 500; ++round) {
    SseRelay relay{SseRelay::Usage::kHide};
    std::string out;
    std::string_view rest = kStream;
    while (!rest.empty()) {
      const std::size_t size = std::min<std::size_t>(rest.size(), 1 + rng.below(1 + rng.below(400)));
      const std::string piece{rest.substr(0, size)};
      rest.remove_prefix(size);
      out += relay.feed(piece);
    }
    ASSERT_EQ(out, expected) << "round " << round;
    ASSERT_EQ(relay.events(), 2U);
    ASSERT_TRUE(relay.complete());
    ASSERT_EQ(relay.usage().value().prompt_tokens, 5U);
  }
}

TEST(SseRelay, LeavesOutNoEventThatBringsMoreThanUsage) {
  for (const std::string_view event : {
           "data: {\"choices\":[{\"text\":\"a\"}],\"usage\":{\"prompt_tokens\":5}}\n\n",
           "data: {\"usage\":null,\"choices\":[]}\n\n",
           "data: {\"choices\":[{\"text\":\"a\"}],\"usage\":7}\n\n",
           "data: {\"choices\":[{\"text\":\", \\\"usage\\\":null\"}]}\n\n",
           "data: {\"choices\":[{\"text\":\"\\\"choices\\\":[]\"}],\"usage\":{\"prompt_tokens\":5}}\n\n",
           "data: {\"usage\":{\"prompt_tokens\":5}}\n\n",
       }) {
    SseRelay relay{SseRelay::Usage::kHide};
    EXPECT_EQ(relay.feed(event), event);
    EXPECT_EQ(relay.events(), 1U);
  }
  SseRelay relay{SseRelay::Usage::kHide};
  EXPECT_EQ(relay.feed("data: {\"choices\" : [ ], \"usage\" : {\"prompt_tokens\": 5}}\r\n\r\n"), "");
  EXPECT_EQ(relay.usage().value().prompt_tokens, 5U);
}

TEST(SseRelay, LeavesOutTheNullsOfEventsWithoutUsage) {
  const std::string stream =
      "data: {\"choices\":[{\"text\":\"a\"}],\"usage\":null}\n\n"
      "data: {\"choices\":[{\"text\":\"b\"}] , \"usage\" : null, \"x\":1}\r\n\r\n"
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5}}\n\n"
      "data: [DONE]\n\n";
  const std::string expected =
      "data: {\"choices\":[{\"text\":\"a\"}]}\n\n"
      "data: {\"choices\":[{\"text\":\"b\"}] , \"x\":1}\r\n\r\n"
      "data: [DONE]\n\n";
  for (std::size_t step = 1; step <= stream.size(); ++step) {
    SseRelay relay{SseRelay::Usage::kHide};
    std::string out;
    for (std::size_t at = 0; at < stream.size(); at += step) out += relay.feed(stream.substr(at, step));
    ASSERT_EQ(out, expected) << step;
    SseRelay open;
    ASSERT_EQ(open.feed(stream), stream);
  }
}

TEST(SseRelay, HoldsBackAnEventThatHasNotEnded) {
  SseRelay relay;
  EXPECT_EQ(relay.feed("data: {\"a\":1}\n\ndata: {\"b\""), "data: {\"a\":1}\n\n");
  EXPECT_EQ(relay.held_bytes(), 10U);
  EXPECT_FALSE(relay.complete());
}

TEST(SseRelay, AnErrorEventEndsTheStream) {
  SseRelay relay;
  (void)relay.feed("data: {\"error\":{\"code\":\"internal\"}}\n\n");
  EXPECT_TRUE(relay.complete());
  EXPECT_TRUE(relay.failed());
}

TEST(SseRelay, KnowsTheLastEventOfEachApi) {
  struct Row {
    const char* event;
    bool complete;
    bool failed;
  };
  const Row table[] = {
      {"event: message_stop\ndata: {}\n\n", true, false},
      {"event:response.completed\r\ndata: {}\r\n\r\n", true, false},
      {"event: response.incomplete\ndata: {}\n\n", true, false},
      {"event: response.failed\ndata: {}\n\n", true, true},
      {"event: error\ndata: {\"type\":\"error\"}\n\n", true, true},
      {"event: message_delta\ndata: {\"text\":\"event: message_stop\"}\n\n", false, false},
  };
  for (const Row& row : table) {
    SseRelay relay;
    EXPECT_EQ(relay.feed(row.event), row.event);
    EXPECT_EQ(relay.complete(), row.complete) << row.event;
    EXPECT_EQ(relay.failed(), row.failed) << row.event;
  }
}

TEST(SseRelay, AnthropicsCountsOfThePromptComeWithTheFirstEvent) {
  SseRelay relay;
  (void)relay.feed(
      "data: {\"message\":{\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":3,\"output_tokens\":1}}}\n\n");
  (void)relay.feed("data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}}\n\n");
  EXPECT_EQ(relay.usage()->prompt_tokens, 5U);
  EXPECT_EQ(relay.usage()->cached_tokens, 3U);
  EXPECT_EQ(relay.usage()->completion_tokens, 9U);
}

TEST(SseRelay, AnEndlessEventIsPassedOnInParts) {
  SseRelay relay;
  const std::string piece(1'000'000, 'x');
  std::size_t out = 0;
  for (int i = 0; i < 20; ++i) out += relay.feed(piece).size();
  EXPECT_GT(out, SseRelay::kHeldBytesMax);
  EXPECT_LE(relay.held_bytes(), SseRelay::kHeldBytesMax);
}

}  // namespace
}  // namespace llmd::dispatch
