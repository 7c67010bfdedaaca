#include "forecast/lstm_network.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"

namespace llmd::forecast {
namespace {

std::vector<double> draw(std::size_t count, double size, Rng& rng) {
  std::vector<double> numbers(count);
  for (double& number : numbers) number = size * (2 * rng.uniform() - 1);
  return numbers;
}

TEST(LstmNetwork, GradientAgreesWithFiniteDifferences) {
  const LstmNetwork<double>::Shape shape{.inputs = 2, .hidden = 4, .outputs = 3, .window = 6, .batch_max = 5};
  LstmNetwork<double> network{shape, 7};
  Rng rng{8};
  for (double& weight : network.parameters()) weight += 0.5 * (2 * rng.uniform() - 1);
  const std::vector<double> inputs = draw(std::size_t{6} * 5 * 2, 2, rng);
  std::vector<double> targets = draw(std::size_t{5} * 3, 2, rng);  // beyond the Huber bound and within
  targets[4] = std::numeric_limits<double>::quiet_NaN();
  network.back_propagate(inputs, 5, targets);
  const std::vector<double> gradient{network.gradient().begin(), network.gradient().end()};
  ASSERT_EQ(gradient.size(), 4U * 4 * (2 + 4 + 1) + 3 * (4 + 1));
  constexpr double kStep = 1e-6;
  double largest = 0;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const double kept = network.parameters()[i];
    network.parameters()[i] = kept + kStep;
    const double above = network.back_propagate(inputs, 5, targets);
    network.parameters()[i] = kept - kStep;
    const double below = network.back_propagate(inputs, 5, targets);
    network.parameters()[i] = kept;
    EXPECT_NEAR(gradient[i], (above - below) / (2 * kStep), 1e-7) << "weight " << i;
    largest = std::max(largest, std::abs(gradient[i]));
  }
  EXPECT_GT(largest, 0.01);
}

TEST(LstmNetwork, LearnsToSayWhatItSawFirst) {
  const LstmNetwork<double>::Shape shape{.inputs = 1, .hidden = 8, .outputs = 1, .window = 8, .batch_max = 16};
  LstmNetwork<double> network{shape, 1};
  Rng rng{2};
  double loss = 1;
  for (int round = 0; round < 2'000; ++round) {
    const std::vector<double> inputs = draw(std::size_t{8} * 16, 1, rng);
    loss = network.back_propagate(inputs, 16, std::span{inputs}.first(16));  // of the first step
    network.learn({.rate = 1e-2});
  }
  EXPECT_LT(loss, 0.02);  // 0.15 if it says 0
}

TEST(LstmNetwork, SaysNothingBeforeItHasLearnt) {
  LstmNetwork<double> network{{.inputs = 1, .hidden = 8, .outputs = 2, .window = 4, .batch_max = 1}, 1};
  std::vector<double> outputs(2, 9);
  network.forward(std::vector<double>{1, 2, 3, 4}, 1, outputs);
  EXPECT_EQ(outputs, (std::vector<double>{0, 0}));
}

TEST(LstmNetwork, SkipsAGradientThatIsNoNumber) {
  LstmNetwork<double> network{{.inputs = 1, .hidden = 2, .outputs = 1, .window = 2, .batch_max = 1}, 1};
  const std::vector<double> before{network.parameters().begin(), network.parameters().end()};
  network.back_propagate(std::vector<double>{1, std::numeric_limits<double>::quiet_NaN()}, 1, std::vector<double>{1});
  network.learn({});
  EXPECT_EQ((std::vector<double>{network.parameters().begin(), network.parameters().end()}), before);
}

}  // namespace
}  // namespace llmd::forecast
