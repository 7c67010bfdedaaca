#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace llmd::forecast {

/// One layer of long short-term memory (Hochreiter, Schmidhuber, "Long short-term memory", Neural Computation 9, 1997;
/// with forget gates) over windows of fixed length from a zero state, and linear outputs of its last state. Learns by
/// back-propagation through the whole window with Adam (Kingma, Ba, 2015). Deterministic: same seed, same weights. Not
/// thread-safe. No allocation after the first calls. `Scalar`: float, or double for the test of its gradient.
template <class Scalar>
class LstmNetwork {
 public:
  struct Shape {
    std::uint32_t inputs = 1;   // numbers a step
    std::uint32_t hidden = 12;  // cells
    std::uint32_t outputs = 1;
    std::uint32_t window = 20;  // steps
    std::uint32_t batch_max = 16;
  };
  struct LearningOptions {
    Scalar rate = static_cast<Scalar>(3e-3);
    Scalar gradient_norm_max = 1;  // a longer gradient is shortened to this
  };
  /// Errors up to this size count by their square, larger ones by their size (Huber 1964): bursts must not rule.
  static constexpr Scalar kHuber = static_cast<Scalar>(0.5);

  LstmNetwork(const Shape& shape, std::uint64_t seed);
  ~LstmNetwork();
  LstmNetwork(LstmNetwork&&) noexcept;
  LstmNetwork& operator=(LstmNetwork&&) noexcept;

  /// Inputs: for each step of the window, for each member of the batch, its numbers. Outputs: for each member its
  /// numbers. Pre: 1 <= batch <= batch_max; the spans have these sizes.
  void forward(std::span<const Scalar> inputs, std::size_t batch, std::span<Scalar> outputs);
  /// Mean loss over all outputs, and its gradient in gradient(). A target that is NaN does not count.
  Scalar back_propagate(std::span<const Scalar> inputs, std::size_t batch, std::span<const Scalar> targets);
  /// One step of Adam along gradient().
  void learn(const LearningOptions& options);

  /// All weights, and what the last back_propagate() says of each. Valid until the network moves.
  [[nodiscard]] std::span<Scalar> parameters() noexcept;
  [[nodiscard]] std::span<const Scalar> gradient() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

extern template class LstmNetwork<float>;
extern template class LstmNetwork<double>;

}  // namespace llmd::forecast
