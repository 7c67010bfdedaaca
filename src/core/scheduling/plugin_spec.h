#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.h"
#include "scheduling/config.h"
#include "scheduling/plugin.h"

namespace llmd::scheduling {

enum class PluginKind : std::uint8_t { kFilter, kScorer, kPicker, kProfileHandler, kPdDecider, kDataProducer };

[[nodiscard]] std::string_view plugin_kind_name(PluginKind kind) noexcept;

enum class ParameterType : std::uint8_t { kBool, kInteger, kNumber, kText };

[[nodiscard]] std::string_view parameter_type_name(ParameterType type) noexcept;

/// One parameter of a plugin type: what the loader checks and the reference prints.
struct ParameterSpec {
  std::string_view name;  // as in EndpointPickerConfig; nested objects with dots
  ParameterType type = ParameterType::kNumber;
  double number = 0;        // default of kBool (0 or 1), kInteger and kNumber
  std::string_view text{};  // default of kText
  double min = 0;
  double max = 1e15;                            // whole numbers up to here are exact
  std::span<const std::string_view> choices{};  // of kText; empty: any text
  std::string_view help;                        // unit, effect of raising it
};

struct PluginSpec;

/// A plugin's parameters with the defaults filled in. Pre of each: the spec has a parameter of this name and type.
class ParameterReader {
 public:
  ParameterReader(const PluginSpec& spec, const Parameters& parameters) noexcept
      : spec_{spec}, parameters_{parameters} {}
  [[nodiscard]] bool flag(std::string_view name) const;
  [[nodiscard]] std::int64_t integer(std::string_view name) const;
  [[nodiscard]] double number(std::string_view name) const;
  [[nodiscard]] std::string text(std::string_view name) const;
  [[nodiscard]] bool is_set(std::string_view name) const { return parameters_.find(name) != nullptr; }

 private:
  const PluginSpec& spec_;
  const Parameters& parameters_;
};

/// A plugin instance. Handlers and data producers have none: the scheduler reads their parameters when it is made.
using AnyPlugin = std::variant<std::monostate, std::unique_ptr<const Filter>, std::unique_ptr<const Scorer>,
                               std::unique_ptr<const Picker>, std::unique_ptr<const PdDecider>>;

/// A plugin type: its name in configurations, its parameters, and how to make one. Pre of make: the parameters were
/// checked.
struct PluginSpec {
  std::string_view type;
  PluginKind kind = PluginKind::kScorer;
  std::string_view help;
  std::span<const ParameterSpec> parameters{};
  AnyPlugin (*make)(const ParameterReader& parameters) = nullptr;

  [[nodiscard]] const ParameterSpec* find(std::string_view name) const noexcept;
};

/// All plugin types, by kind and then name.
[[nodiscard]] std::span<const PluginSpec* const> plugin_specs() noexcept;
/// Null if there is none of the type.
[[nodiscard]] const PluginSpec* find_plugin_spec(std::string_view type) noexcept;

/// Error kConfigInvalid: the plugin has no such parameter (the hint names the nearest), or the value's type, range or
/// choice is wrong. `what` starts with the plugin's type; the loader adds line and column.
[[nodiscard]] Result<void> check_parameter(const PluginSpec& spec, std::string_view name, const ParameterValue& value);

}  // namespace llmd::scheduling
