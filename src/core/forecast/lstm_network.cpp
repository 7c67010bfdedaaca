#include "forecast/lstm_network.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"

namespace llmd::forecast {
namespace {

template <class Scalar>
using MatrixOf = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
template <class Scalar>
using VectorOf = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;

constexpr double kMeanKeep = 0.9;  // of Adam, as its authors have them
constexpr double kSquareKeep = 0.999;
constexpr double kTiny = 1e-8;
constexpr double kForgetBias = 1;  // cells keep what they have until they learn to forget

/// What one step of the window computed, for the way back. Columns are members of the batch.
template <class Scalar>
struct Step {
  MatrixOf<Scalar> gates;  // input, forget, output, candidate: `hidden` rows each
  MatrixOf<Scalar> cells;
  MatrixOf<Scalar> squashed;  // tanh of cells
  MatrixOf<Scalar> state;
};

}  // namespace

template <class Scalar>
struct LstmNetwork<Scalar>::Impl {
  using Matrix = MatrixOf<Scalar>;
  using Vector = VectorOf<Scalar>;
  using MatrixView = Eigen::Map<Matrix>;
  using VectorView = Eigen::Map<Vector>;
  using ConstView = Eigen::Map<const Matrix>;
  using Step = forecast::Step<Scalar>;

  Shape shape;
  Eigen::Index hidden;
  Vector weights;
  Vector gradient;
  Vector mean;    // Adam's
  Vector square;  // Adam's
  Scalar mean_left = 1;
  Scalar square_left = 1;
  std::vector<Step> steps;  // [0] is the zero state, [t + 1] is after step t
  Matrix answer;
  Matrix d_answer;
  Matrix d_state;
  Matrix d_cells;
  Matrix d_gates;

  /// The parts of a vector of all weights.
  struct Parts {
    MatrixView of_input;   // 4 hidden x inputs
    MatrixView of_state;   // 4 hidden x hidden
    VectorView bias;       // 4 hidden
    MatrixView of_output;  // outputs x hidden
    VectorView output_bias;
  };
  [[nodiscard]] static Eigen::Index size_of(const Shape& shape) {
    const Eigen::Index hidden = shape.hidden;
    return 4 * hidden * (shape.inputs + hidden + 1) + shape.outputs * (hidden + 1);
  }
  [[nodiscard]] Parts parts_of(Vector& all) const {
    Scalar* const of_input = all.data();
    Scalar* const of_state = of_input + 4 * hidden * shape.inputs;
    Scalar* const bias = of_state + 4 * hidden * hidden;
    Scalar* const of_output = bias + 4 * hidden;
    Scalar* const output_bias = of_output + hidden * shape.outputs;
    return {MatrixView{of_input, 4 * hidden, shape.inputs}, MatrixView{of_state, 4 * hidden, hidden},
            VectorView{bias, 4 * hidden}, MatrixView{of_output, shape.outputs, hidden},
            VectorView{output_bias, shape.outputs}};
  }

  Impl(const Shape& given, std::uint64_t seed) : shape{given}, hidden{given.hidden} {
    const Eigen::Index size = size_of(shape);
    weights = Vector::Zero(size);
    gradient = Vector::Zero(size);
    mean = Vector::Zero(size);
    square = Vector::Zero(size);
    Rng rng{seed};
    Parts parts = parts_of(weights);
    const double spread = 1 / std::sqrt(static_cast<double>(shape.hidden));
    for (MatrixView* const part : {&parts.of_input, &parts.of_state}) {
      for (Scalar& weight : part->reshaped()) weight = static_cast<Scalar>(spread * (2 * rng.uniform() - 1));
    }
    parts.bias.segment(hidden, hidden).setConstant(kForgetBias);
    // Outputs begin at 0: before it has learnt the network says nothing.
    const Eigen::Index batch = shape.batch_max;
    steps.resize(shape.window + 1U);
    for (Step& step : steps) {
      step.gates = Matrix::Zero(4 * hidden, batch);
      step.cells = Matrix::Zero(hidden, batch);
      step.squashed = Matrix::Zero(hidden, batch);
      step.state = Matrix::Zero(hidden, batch);
    }
    answer = Matrix::Zero(shape.outputs, batch);
    d_answer = answer;
    d_state = Matrix::Zero(hidden, batch);
    d_cells = d_state;
    d_gates = Matrix::Zero(4 * hidden, batch);
  }

  [[nodiscard]] ConstView input_at(std::span<const Scalar> inputs, std::size_t step, Eigen::Index batch) const {
    return {inputs.data() + step * static_cast<std::size_t>(batch) * shape.inputs, shape.inputs, batch};
  }

  void run(std::span<const Scalar> inputs, Eigen::Index batch) {
    const Parts parts = parts_of(weights);
    for (std::size_t t = 0; t < shape.window; ++t) {
      const Step& before = steps[t];
      Step& now = steps[t + 1];
      auto gates = now.gates.leftCols(batch);
      gates.noalias() = parts.of_input * input_at(inputs, t, batch);
      if (t > 0) gates.noalias() += parts.of_state * before.state.leftCols(batch);
      gates.colwise() += parts.bias;
      auto open = gates.topRows(3 * hidden).array();
      open = (1 + (-open).exp()).inverse();
      auto candidate = gates.bottomRows(hidden).array();
      candidate = candidate.tanh();
      auto cells = now.cells.leftCols(batch).array();
      cells = gates.topRows(hidden).array() * candidate;
      if (t > 0) cells += gates.middleRows(hidden, hidden).array() * before.cells.leftCols(batch).array();
      now.squashed.leftCols(batch).array() = cells.tanh();
      now.state.leftCols(batch).array() =
          gates.middleRows(2 * hidden, hidden).array() * now.squashed.leftCols(batch).array();
    }
    auto said = answer.leftCols(batch);
    said.noalias() = parts.of_output * steps.back().state.leftCols(batch);
    said.colwise() += parts.output_bias;
  }

  Scalar judge(std::span<const Scalar> targets, Eigen::Index batch) {
    const ConstView wanted{targets.data(), shape.outputs, batch};
    Scalar loss = 0;
    Eigen::Index counted = 0;
    for (Eigen::Index b = 0; b < batch; ++b) {
      for (Eigen::Index o = 0; o < wanted.rows(); ++o) {
        const Scalar error = answer(o, b) - wanted(o, b);
        const bool counts = !std::isnan(error);
        const Scalar size = counts ? std::abs(error) : 0;
        loss += size <= kHuber ? size * size / 2 : kHuber * (size - kHuber / 2);
        d_answer(o, b) = counts ? std::clamp(error, -kHuber, kHuber) : 0;
        counted += counts ? 1 : 0;
      }
    }
    const Scalar each = 1 / static_cast<Scalar>(std::max<Eigen::Index>(1, counted));
    d_answer.leftCols(batch) *= each;
    return loss * each;
  }

  void go_back(std::span<const Scalar> inputs, Eigen::Index batch) {
    const Parts parts = parts_of(weights);
    gradient.setZero();
    Parts out = parts_of(gradient);
    const auto d_said = d_answer.leftCols(batch);
    out.of_output.noalias() = d_said * steps.back().state.leftCols(batch).transpose();
    out.output_bias = d_said.rowwise().sum();
    auto d_h = d_state.leftCols(batch);
    auto d_c = d_cells.leftCols(batch);
    auto d_g = d_gates.leftCols(batch);
    d_h.noalias() = parts.of_output.transpose() * d_said;
    d_c.setZero();
    for (std::size_t t = shape.window; t-- > 0;) {
      const Step& before = steps[t];
      const Step& now = steps[t + 1];
      const auto gates = now.gates.leftCols(batch).array();
      const auto in = gates.topRows(hidden);
      const auto keep = gates.middleRows(hidden, hidden);
      const auto let_out = gates.middleRows(2 * hidden, hidden);
      const auto candidate = gates.bottomRows(hidden);
      const auto squashed = now.squashed.leftCols(batch).array();
      d_c.array() += d_h.array() * let_out * (1 - squashed.square());
      d_g.topRows(hidden).array() = d_c.array() * candidate * in * (1 - in);
      d_g.middleRows(hidden, hidden).array() = d_c.array() * before.cells.leftCols(batch).array() * keep * (1 - keep);
      d_g.middleRows(2 * hidden, hidden).array() = d_h.array() * squashed * let_out * (1 - let_out);
      d_g.bottomRows(hidden).array() = d_c.array() * in * (1 - candidate.square());
      out.of_input.noalias() += d_g * input_at(inputs, t, batch).transpose();
      out.bias += d_g.rowwise().sum();
      if (t == 0) break;
      out.of_state.noalias() += d_g * before.state.leftCols(batch).transpose();
      d_h.noalias() = parts.of_state.transpose() * d_g;
      d_c.array() *= keep;
    }
  }
};

template <class Scalar>
LstmNetwork<Scalar>::LstmNetwork(const Shape& shape, std::uint64_t seed) : impl_{std::make_unique<Impl>(shape, seed)} {}
template <class Scalar>
LstmNetwork<Scalar>::~LstmNetwork() = default;
template <class Scalar>
LstmNetwork<Scalar>::LstmNetwork(LstmNetwork&&) noexcept = default;
template <class Scalar>
LstmNetwork<Scalar>& LstmNetwork<Scalar>::operator=(LstmNetwork&&) noexcept = default;

template <class Scalar>
void LstmNetwork<Scalar>::forward(std::span<const Scalar> inputs, std::size_t batch, std::span<Scalar> outputs) {
  const auto columns = static_cast<Eigen::Index>(batch);
  impl_->run(inputs, columns);
  typename Impl::MatrixView{outputs.data(), impl_->shape.outputs, columns} = impl_->answer.leftCols(columns);
}

template <class Scalar>
Scalar LstmNetwork<Scalar>::back_propagate(std::span<const Scalar> inputs, std::size_t batch,
                                           std::span<const Scalar> targets) {
  const auto columns = static_cast<Eigen::Index>(batch);
  impl_->run(inputs, columns);
  const Scalar loss = impl_->judge(targets, columns);
  impl_->go_back(inputs, columns);
  return loss;
}

template <class Scalar>
void LstmNetwork<Scalar>::learn(const LearningOptions& options) {
  Impl& net = *impl_;
  constexpr auto kMeanKept = static_cast<Scalar>(kMeanKeep);
  constexpr auto kSquareKept = static_cast<Scalar>(kSquareKeep);
  const Scalar norm = net.gradient.norm();
  if (!std::isfinite(norm)) return;
  if (norm > options.gradient_norm_max) net.gradient *= options.gradient_norm_max / norm;
  net.mean_left *= kMeanKept;
  net.square_left *= kSquareKept;
  net.mean = kMeanKept * net.mean + (1 - kMeanKept) * net.gradient;
  net.square.array() = kSquareKept * net.square.array() + (1 - kSquareKept) * net.gradient.array().square();
  const Scalar rate = options.rate / (1 - net.mean_left);
  net.weights.array() -=
      rate * net.mean.array() / ((net.square.array() / (1 - net.square_left)).sqrt() + static_cast<Scalar>(kTiny));
}

template <class Scalar>
std::span<Scalar> LstmNetwork<Scalar>::parameters() noexcept {
  return {impl_->weights.data(), static_cast<std::size_t>(impl_->weights.size())};
}

template <class Scalar>
std::span<const Scalar> LstmNetwork<Scalar>::gradient() const noexcept {
  return {impl_->gradient.data(), static_cast<std::size_t>(impl_->gradient.size())};
}

template class LstmNetwork<float>;
template class LstmNetwork<double>;

}  // namespace llmd::forecast
