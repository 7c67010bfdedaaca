#include "kube/watch_decoder.h"

#include <gtest/gtest.h>

namespace llmd::kube {
namespace {

constexpr std::string_view kStream =
    R"({"type":"ADDED","object":{"metadata":{"name":"a","namespace":"ns","uid":"u","resourceVersion":"5"},"x":"\n"}})"
    "\n"
    R"({"type":"NEW","object":{}})"
    "\n\n"
    R"({"type":"MODIFIED","object":{"metadata":{"name":"a","resourceVersion":"6"}}})"
    "\n"
    R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}})"
    "\n"
    R"({"type":"DELETED","object":{"metadata":{"name":"a","resourceVersion":"10"}}})"
    "\n"
    R"({"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}})"
    "\n";

TEST(WatchDecoder, ReadsEventsHoweverTheyAreCut) {
  for (std::size_t size = 1; size <= kStream.size(); size += 3) {
    WatchDecoder decoder;
    std::vector<WatchEvent> events;
    for (std::size_t at = 0; at < kStream.size(); at += size)
      ASSERT_TRUE(decoder.feed(kStream.substr(at, size), events));
    ASSERT_EQ(events.size(), 5U) << size;
    EXPECT_EQ(events[0].kind, WatchEvent::Kind::kAdded);
    EXPECT_EQ(events[0].object.json,
              R"({"metadata":{"name":"a","namespace":"ns","uid":"u","resourceVersion":"5"},"x":"\n"})");
    EXPECT_EQ(events[0].object.ns, "ns");
    EXPECT_EQ(events[1].object.resource_version, "6");
    EXPECT_EQ(events[2].kind, WatchEvent::Kind::kBookmark);
    EXPECT_EQ(events[3].kind, WatchEvent::Kind::kDeleted);
    EXPECT_EQ(events[4].code, 410);
    EXPECT_EQ(events[4].message, "too old");
  }
}

TEST(WatchDecoder, RefusesWhatIsNoEventOrTooLong) {
  std::vector<WatchEvent> events;
  for (const char* line : {"{\n", "[]\n", "{\"type\":\"ADDED\"}\n", "null\n"})
    EXPECT_EQ(WatchDecoder{}.feed(line, events).error().code, ErrorCode::kProtocol) << line;
  EXPECT_EQ(WatchDecoder{}.feed(std::string(WatchDecoder::kEventBytesMax + 1, ' '), events).error().code,
            ErrorCode::kBodyTooLarge);
  EXPECT_TRUE(events.empty());
}

TEST(ListPage, ReadsObjectsAndWhereToGoOn) {
  const auto page =
      read_list(R"({"metadata":{"resourceVersion":"7","continue":"t"},"items":[{"metadata":{"name":"a"}}]})");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->objects.at(0).name, "a");
  EXPECT_EQ(page->resource_version, "7");
  EXPECT_EQ(page->continue_token, "t");
  EXPECT_TRUE(read_list(R"({"metadata":{"resourceVersion":"7"},"items":null})")->objects.empty());
  for (const char* text : {"", "{}", "[]", R"({"metadata":{"resourceVersion":"7"},"items":{}})"})
    EXPECT_FALSE(read_list(text)) << text;
}

}  // namespace
}  // namespace llmd::kube
