#include "apps/up/child_log.h"

#include <gtest/gtest.h>

namespace llmd::up {
namespace {

TEST(ChildLog, NamesTheProcessInEachKindOfLine) {
  EXPECT_EQ(with_process("worker-0", R"({"time":"t","message":"m"})"),
            R"({"process":"worker-0","time":"t","message":"m"})");
  EXPECT_EQ(with_process("worker-0", "2026 info worker: ready"), "[worker-0] 2026 info worker: ready");
  EXPECT_EQ(with_process("worker-0", ""), "[worker-0] ");
}

}  // namespace
}  // namespace llmd::up
