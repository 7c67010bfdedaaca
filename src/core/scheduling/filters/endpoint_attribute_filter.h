#pragma once

#include "scheduling/endpoint_attribute.h"
#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Keeps endpoints whose attribute compares as wanted with a threshold. One without the attribute, or whose reading is
/// too old, is kept unless `drops_missing`.
class EndpointAttributeFilter final : public Filter {
 public:
  static const PluginSpec kSpec;
  enum class Operator : std::uint8_t { kLess, kLessOrEqual, kGreater, kGreaterOrEqual, kEqual, kNotEqual };
  struct Options {
    EndpointAttribute attribute;
    Operator op = Operator::kLess;
    float threshold = 0;
    bool drops_missing = false;
    bool falls_back = false;  // keeps all candidates where it would keep none
  };
  explicit EndpointAttributeFilter(Options options) : options_{std::move(options)} {}
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;

 private:
  [[nodiscard]] bool keeps(const PluginInput& input, EndpointIndex endpoint) const noexcept;

  Options options_;
};

}  // namespace llmd::scheduling
