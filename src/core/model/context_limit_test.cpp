#include "model/context_limit.h"

#include <gtest/gtest.h>

namespace llmd {
namespace {

TEST(ContextLimit, HoldsPromptAndOutputAndNoTokenMore) {
  const struct {
    const char* name;
    ContextNeed need;
    bool fits;
  } cases[] = {
      {"room for one token", {99, 0}, true}, {"no room for one", {100, 0}, false}, {"exactly full", {60, 40}, true},
      {"one beyond", {61, 40}, false},       {"both huge", {~0U, ~0U}, false},
  };
  for (const auto& item : cases) {
    const Result<void> checked = check_context(item.need, 100);
    EXPECT_EQ(checked.has_value(), item.fits) << item.name;
    if (checked) continue;
    EXPECT_EQ(checked.error().code, ErrorCode::kContextLengthExceeded) << item.name;
  }
  EXPECT_EQ(check_context({61, 40}, 100).error().what,
            "the prompt has 61 tokens and 40 are to be made; the context holds 100");
}

}  // namespace
}  // namespace llmd
