#pragma once

#include <array>

namespace llmd::eppmetrics {

// Upper bounds as llm-d has them (pkg/epp/metrics and the plugins' metrics.go), odd ones too: dashboards name them.

inline constexpr std::array<double, 35> kDurationBuckets{
    .005, .025, .05, .1, .2, .4,  .6,  .8,  1,   1.25, 1.5, 2,   3,   4,    5,    6,    8,   10,
    15,   20,   30,  45, 60, 120, 180, 240, 300, 360,  480, 600, 900, 1200, 1800, 2700, 3600};
inline constexpr std::array<double, 24> kTtftBuckets{.005, .025, .05, .1, .2, .4, .6, .8, 1,  1.25, 1.5, 2,
                                                     3,    4,    5,   6,  8,  10, 15, 20, 30, 45,   60,  120};
inline constexpr std::array<double, 19> kTpotBuckets{.0005, .00205, .005, .01, .02, .04, .06, .08, .1, .125,
                                                     .15,   .2,     .3,   .4,  .5,  .6,  .8,  1,   2};
inline constexpr std::array<double, 35> kPredictedTpotBuckets{
    .0005, .00205, .005, .01, .02, .04, .06, .08, .1, .125, .15, .2, .3, .4,  .5,  .6,  .8, 1,
    1.5,   2,      3,    4.5, 6,   12,  18,  24,  30, 36,   48,  60, 90, 120, 180, 270, 360};
inline constexpr std::array<double, 15> kItlBuckets{.001, .005, .01, .02, .04, .06, .08, .1,
                                                    .15,  .2,   .3,  .5,  .75, 1,   2};
inline constexpr std::array<double, 13> kNtpotBuckets{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10};
inline constexpr std::array<double, 25> kRequestBytesBuckets{
    64,       128,      256,      512,       1024,      2048,      4096,      8192,    16384,
    32768,    65536,    131072,   262144,    524288,    1048576,   2097152,   4194304, 8388608,
    16777216, 33554432, 67108864, 134217728, 268435456, 536870912, 1073741824};
inline constexpr std::array<double, 15> kResponseBytesBuckets{1,    8,    16,   32,   64,    128,   256,  512,
                                                              1024, 2048, 4096, 8192, 16384, 32778, 65536};
inline constexpr std::array<double, 19> kInputTokensBuckets{
    1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32778, 65536, 131072, 262144, 524288, 1048576};
inline constexpr std::array<double, 12> kOutputTokensBuckets{1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};

inline constexpr std::array<double, 10> kDecisionBuckets{.0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1};
inline constexpr std::array<double, 16> kRequestProcessingBuckets{.0005, .001, .002, .005, .01, .015, .025, .04,
                                                                  .06,   .1,   .25,  .5,   1,   2.5,  5,    10};
inline constexpr std::array<double, 15> kResponseProcessingBuckets{.0001, .00025, .0005, .001, .0025, .005, .01, .025,
                                                                   .05,   .1,     .25,   .5,   1,     2.5,  5};
inline constexpr std::array<double, 14> kPredictionBuckets{.0001, .0005, .001, .002, .005, .01, .02,
                                                           .05,   .1,    .2,   .5,   1,    2,   5};
inline constexpr std::array<double, 11> kRatioBuckets{0, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1};
inline constexpr std::array<double, 14> kHitBytesBuckets{0,    16,   32,   64,   128,   256,   512,
                                                         1024, 2048, 4096, 8192, 16384, 32768, 65536};
inline constexpr std::array<double, 14> kStreamBuckets{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 120, 300, 600};
inline constexpr std::array<double, 11> kLookupBuckets{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};

inline constexpr std::array<double, 16> kQueueBuckets{.0001, .0005, .001, .005, .01, .025, .05, .1,
                                                      .25,   .5,    1,    2.5,  5,   10,   30,  60};
inline constexpr std::array<double, 11> kRevocationBuckets{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};

}  // namespace llmd::eppmetrics
