#include "net/sse.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace llmd::net {
namespace {

/// Events of `text` fed in two parts cut at `cut`, as one comparable text.
std::string events_of(std::string_view text, std::size_t cut) {
  SseParser parser;
  std::string out;
  for (const std::string_view part : {text.substr(0, cut), text.substr(cut)}) {
    const auto events = parser.feed(part);
    if (!events) return "error";
    for (const SseEvent& event : *events) out += "[" + event.event + "|" + event.data + "|" + event.id + "]";
  }
  return out;
}

struct Case {
  std::string name;
  std::string text;
  std::string expected;
};

TEST(SseParser, GivesTheSameEventsWhereverTheStreamIsCut) {
  const std::vector<Case> cases{
      {"line feeds", "data: a\n\ndata: b\n\n", "[|a|][|b|]"},
      {"carriage returns", "data: a\r\rdata: b\r\r", "[|a|][|b|]"},
      {"both", "data: a\r\n\r\ndata: b\r\n\r\n", "[|a|][|b|]"},
      {"several data lines", "data: a\ndata:b\ndata:  c\n\n", "[|a\nb\n c|]"},
      {"empty data", "data\n\ndata:\ndata:\n\n", "[||][|\n|]"},
      {"event and id", "event: e\nid: 7\ndata: x\n\ndata: y\n\n", "[e|x|7][|y|7]"},
      {"no data, no event", "event: e\n\nid: 3\n\ndata: z\n\n", "[|z|3]"},
      {"comments and unknown fields", ": hi\nretry: 5\nfoo: bar\ndata: x\n\n", "[|x|]"},
      {"byte order mark",
       "\xef\xbb\xbf"
       "data: x\n\n",
       "[|x|]"},
      {"half a byte order mark",
       "\xef\xbb"
       "data: x\ndata: y\n\n",
       "[|y|]"},
      {"mark only at the start",
       "data: x\n\n\xef\xbb\xbf"
       "data: y\n\n",
       "[|x|]"},
      {"end without an empty line", "data: x\n\ndata: lost\n", "[|x|]"},
  };
  for (const Case& c : cases) {
    for (std::size_t cut = 0; cut <= c.text.size(); ++cut) {
      EXPECT_EQ(events_of(c.text, cut), c.expected) << c.name << ", cut at " << cut;
    }
  }
}

TEST(SseParser, RefusesAnEventBeyondItsBoundInOneLineOrInMany) {
  for (const std::string& line : {std::string{"x"}, std::string{"data: x\n"}}) {
    SseParser parser{100};
    bool refused = false;
    for (int i = 0; i < 200 && !refused; ++i) {
      const auto events = parser.feed(line);
      refused = !events;
      if (refused) {
        EXPECT_EQ(events.error().to_string(), "protocol: a server-sent event is longer than 100 bytes");
      }
    }
    EXPECT_TRUE(refused) << line;
  }
}

TEST(FormatEvent, IsReadBackAsWhatItWasGiven) {
  Rng rng{1};
  for (int round = 0; round < 500; ++round) {
    std::string data;
    for (std::uint64_t i = rng.below(20); i > 0; --i) data += "ab \n:\xc3"[rng.below(6)];
    SseParser parser;
    const auto events = parser.feed(format_event(data, round % 2 == 0 ? "e" : ""));
    ASSERT_TRUE(events && events->size() == 1) << data;
    EXPECT_EQ((*events)[0].data, data);
    EXPECT_EQ((*events)[0].event, round % 2 == 0 ? "e" : "");
  }
}

TEST(FormatEvent, LetsNoCarriageReturnStartAFieldOfItsOwn) {
  EXPECT_EQ(format_event("a\rid: 1\r\nb"), "data: a\ndata: id: 1\ndata: b\n\n");
}

}  // namespace
}  // namespace llmd::net
