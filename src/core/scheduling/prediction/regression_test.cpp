#include "scheduling/prediction/regression.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "base/rng.h"

namespace llmd::scheduling {
namespace {

using Features = Regression::Features;

Features drawn(Rng& rng) {
  Features x{1.0F};
  for (std::size_t i = 1; i < 5; ++i) x[i] = static_cast<float>(10 * rng.uniform());
  return x;
}

double truth(const Features& x) { return 5 + 40.0 * x[1] + 2.0 * x[2] + 70.0 * x[3]; }  // x[4] is of no use

TEST(Regression, FindsTheCoefficients) {
  Rng rng{1};
  Regression model{1'000, 10};
  for (int i = 0; i < 2'000; ++i) {
    const Features x = drawn(rng);
    model.add(x, truth(x) * (1 + 0.1 * (rng.uniform() - 0.5)));
  }
  EXPECT_NEAR(model.coefficients()[1], 40, 2);
  EXPECT_NEAR(model.coefficients()[2], 2, 1.5);
  EXPECT_NEAR(model.coefficients()[3], 70, 2);
  EXPECT_NEAR(model.coefficients()[4], 0, 1);
  const Features x{1, 3, 1, 2, 9};
  EXPECT_NEAR(model.predict(x), truth(x), 0.05 * truth(x));
  EXPECT_NEAR(model.deviation(x, model.predict(x)), 0.029 * truth(x), 0.015 * truth(x));  // of a uniform draw
}

TEST(Regression, NeverSaysThatMoreWorkTakesLess) {
  Rng rng{2};
  Regression model{200, 10};
  for (int i = 0; i < 500; ++i) {
    Features x = drawn(rng);
    x[2] = 10 - x[1];  // what is seen would fit a negative coefficient as well
    model.add(x, 100 + 10.0 * x[1] + 50 * rng.uniform());
    for (const float each : model.coefficients()) ASSERT_GE(each, 0);
  }
}

TEST(Regression, ForgetsOldHardware) {
  Rng rng{3};
  Regression model{300, 10};
  for (int i = 0; i < 1'000; ++i) {
    const Features x = drawn(rng);
    model.add(x, truth(x));
  }
  for (int i = 0; i < 1'500; ++i) {
    const Features x = drawn(rng);
    model.add(x, truth(x) / 4);
  }
  const Features x{1, 3, 1, 2, 9};
  EXPECT_NEAR(model.predict(x), truth(x) / 4, 0.1 * truth(x) / 4);
}

TEST(Regression, KeepsWhatItKnewWhereNothingIsSeenAnyMore) {
  Rng rng{4};
  Regression model{200, 10};
  for (int i = 0; i < 1'000; ++i) {
    const Features x = drawn(rng);
    model.add(x, truth(x));
  }
  for (int i = 0; i < 5'000; ++i) model.add({1, 1}, truth({1, 1}));  // never a queue
  EXPECT_NEAR(model.coefficients()[3], 70, 15);
}

TEST(Regression, IsUnsureOfWhatItHasNotSeen) {
  Rng rng{5};
  Regression model{1'000, 10};
  for (int i = 0; i < 1'000; ++i) {
    Features x = drawn(rng);
    x[4] = 0;
    model.add(x, truth(x) * (1 + 0.1 * (rng.uniform() - 0.5)));
  }
  const Features known{1, 5, 5, 5, 0};
  const Features unknown{1, 5, 5, 5, 5};
  const float predicted = model.predict(unknown);
  EXPECT_GT(model.deviation(unknown, predicted), 10 * model.deviation(known, model.predict(known)));
  EXPECT_LE(model.deviation(unknown, predicted), std::hypot(predicted, 10.0F)) << "and not of all the rest";
}

TEST(Regression, SeveralDeviationsAtOnceAreTheSameBits) {
  Rng rng{7};
  Regression model{1'000, 10};
  for (int round = 0; round < 500; ++round) {
    std::array<Features, Regression::kAtOnce> some;
    std::array<float, Regression::kAtOnce> predicted{};
    for (std::size_t n = 0; n < some.size(); ++n) {
      some[n] = drawn(rng);
      predicted[n] = model.predict(some[n]);
      model.add(drawn(rng), 100 * rng.uniform());
    }
    const auto all = model.deviations(some, predicted);
    for (std::size_t n = 0; n < some.size(); ++n) EXPECT_EQ(all[n], model.deviation(some[n], predicted[n]));
  }
}

TEST(Regression, OneOutlierChangesLittle) {
  Rng rng{6};
  Regression model{1'000, 10};
  for (int i = 0; i < 1'000; ++i) {
    const Features x = drawn(rng);
    model.add(x, truth(x));
  }
  model.add({1, 1, 1, 1}, 1e6);
  for (int i = 0; i < 32; ++i) {
    const Features x = drawn(rng);
    model.add(x, truth(x));
  }
  const Features x{1, 3, 1, 2, 9};
  EXPECT_NEAR(model.predict(x), truth(x), 0.2 * truth(x));
  EXPECT_TRUE(std::isfinite(model.deviation(x, model.predict(x))));
}

}  // namespace
}  // namespace llmd::scheduling
