#include "telemetry/span.h"

#include <gtest/gtest.h>

namespace llmd {
namespace {

TEST(TraceContext, ReadsWhatItWrites) {
  const std::string_view text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto context = parse_trace_context(text, "vendor=1");
  ASSERT_TRUE(context);
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(context->state, "vendor=1");
  EXPECT_EQ(traceparent(*context), text);
  const auto other = parse_trace_context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "");
  ASSERT_TRUE(other);
  EXPECT_FALSE(other->sampled);
  EXPECT_TRUE(parse_trace_context("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-more", ""))
      << "a later version may say more";
}

TEST(TraceContext, RefusesWhatIsNone) {
  for (const std::string_view text : {"", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
                                      "garbage that is longer than fifty-five characters is",
                                      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                                      "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                                      "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                      "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                                      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
                                      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
                                      "zz-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                      "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}) {
    EXPECT_FALSE(parse_trace_context(text, "")) << text;
  }
}

}  // namespace
}  // namespace llmd
