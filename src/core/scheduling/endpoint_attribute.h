#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// A number that the data layer reads of each endpoint and that a configuration names: an attribute and who makes it.
class EndpointAttribute {
 public:
  /// `producer`: none means core-metrics-extractor, empty one that no producer's name belongs to. Error kConfigInvalid:
  /// no attribute; a "/" in it without a producer, as it could be either. `owner`: the plugin's type, `parameter`:
  /// where the attribute stands.
  [[nodiscard]] static Result<EndpointAttribute> named(std::string_view owner, std::string_view parameter,
                                                       std::string_view attribute,
                                                       const std::optional<std::string>& producer);

  /// The reading, if there is one that is not too old. O(log of the endpoint's attributes), no allocation.
  [[nodiscard]] std::optional<float> read(const PluginInput& input, EndpointIndex endpoint) const noexcept;
  /// The signal that says the same thing, read where there is no reading of the name.
  [[nodiscard]] std::optional<Signal> signal() const noexcept { return signal_; }
  /// As in NamedReading::name.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  EndpointAttribute(std::string name, std::optional<Signal> signal) noexcept
      : name_{std::move(name)}, signal_{signal} {}

  std::string name_;
  std::optional<Signal> signal_;
};

/// A reading by its name, if there is one that is not too old and is a number.
[[nodiscard]] std::optional<float> named_attribute(const PluginInput& input, EndpointIndex endpoint,
                                                   std::string_view name) noexcept;

}  // namespace llmd::scheduling
