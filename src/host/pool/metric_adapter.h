#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/data_layer_config.h"
#include "model/endpoint.h"
#include "pool/exposition_reader.h"
#include "pool/known_engines.h"

namespace llmd::pool {

/// What is to be read of a page, of one engine or, where it is not known which one it is, of several: which series, and
/// what each tells. Immutable; shared by the readers of all endpoints.
class MetricAdapter {
 public:
  /// A reading that a series makes.
  struct Target {
    std::uint8_t engine = 0;  // among engines()
    EngineField field{};
    bool adds_up = false;                             // all series count
    std::uint16_t named = 0;                          // with kNamed: among its engine's attributes
    std::vector<config::MetricSpec::Label> labels{};  // the series has all of them
  };
  struct Engine {
    std::string name;
    std::string block_tokens_label;
    std::string blocks_label;
    std::vector<std::string> attributes{};  // of kNamed, sorted
  };

  void add(const KnownEngine& engine);
  void add(const config::EngineConfig& engine);
  /// Wins where several engines can be meant. An unknown name leaves it to the order.
  void prefer(std::string_view engine);

  [[nodiscard]] const SeriesNames& names() const noexcept { return names_; }
  /// Of the series with this number in names().
  [[nodiscard]] std::span<const Target> targets(std::size_t name) const noexcept { return targets_[name]; }
  [[nodiscard]] const std::vector<Engine>& engines() const noexcept { return engines_; }
  [[nodiscard]] std::size_t preferred() const noexcept { return preferred_; }

 private:
  std::uint8_t add_engine(Engine engine);
  void want(const config::MetricSpec& spec, Target target);

  SeriesNames names_;
  std::vector<std::vector<Target>> targets_;
  std::vector<Engine> engines_;
  std::size_t preferred_ = 0;
};

/// The adapters of a configuration: one an engine, and one for endpoints that do not say what they are. Immutable;
/// adapters live as long as it does.
class MetricAdapters {
 public:
  explicit MetricAdapters(const config::CoreExtractorConfig& config);

  /// By the endpoint's label (or the older label of GAIE); `any()` without one, or with a name that nobody knows.
  [[nodiscard]] const MetricAdapter& of(const Endpoint& endpoint) const noexcept;
  /// The engine that the labels name; empty: none that is known.
  [[nodiscard]] std::string_view engine_of(const Endpoint& endpoint) const noexcept;
  [[nodiscard]] const MetricAdapter& named(std::string_view engine) const noexcept;
  [[nodiscard]] const MetricAdapter& any() const noexcept { return any_; }

 private:
  std::string label_;
  std::map<std::string, MetricAdapter, std::less<>> by_name_;
  MetricAdapter any_;
};

}  // namespace llmd::pool
