#include "dispatch/transfer_report.h"

#include <gtest/gtest.h>

namespace llmd::dispatch {
namespace {

TEST(TransferReport, ReadsWhatADecodeWorkerSays) {
  EXPECT_EQ(parse_transfer_report("blocks=12, bytes=8847360, recomputed_tokens=7"), (TransferReport{12, 8'847'360, 7}));
  EXPECT_EQ(parse_transfer_report("blocks=0, bytes=0, recomputed_tokens=331, error=lease_expired"),
            (TransferReport{0, 0, 331}));
}

TEST(TransferReport, GivesNothingForAnIncompleteOrBrokenOne) {
  for (const char* text : {"", "blocks=1", "blocks=1, bytes=x, recomputed_tokens=0",
                           "blocks=1, bytes=2, recomputed_tokens=", "blocks=-1, bytes=2, recomputed_tokens=0",
                           "rx_blocks=1, bytes=2, recomputed_tokens=0",
                           "blocks=99999999999999999999, bytes=2, recomputed_tokens=0", ",,,  ,"}) {
    EXPECT_FALSE(parse_transfer_report(text)) << text;
  }
}

}  // namespace
}  // namespace llmd::dispatch
