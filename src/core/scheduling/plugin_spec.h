#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "scheduling/config.h"
#include "scheduling/plugin.h"

namespace llmd::scheduling {

/// What a plugin is for, as its type's place in llm-d. Only kinds down to kSaturationDetector are built by the
/// scheduler; the others belong to flow control, to the endpoint picker's protocol, or to the data layer.
enum class PluginKind : std::uint8_t {
  kFilter,
  kScorer,  // may filter, too
  kPicker,
  kProfileHandler,
  kDecider,
  kDataProducer,
  kAdmitter,
  kScreener,            // a filter of every profile, before its own
  kSaturationDetector,  // may filter, too
  kFairnessPolicy,
  kOrderingPolicy,
  kUsageLimitPolicy,
  kEvictionPolicy,
  kParser,
  kRequestPlugin,
  kDataSource,
  kExtractor,
  kDiscovery,
};

[[nodiscard]] std::string_view plugin_kind_name(PluginKind kind) noexcept;
/// "a scorer", "an admitter".
[[nodiscard]] std::string a_plugin_kind(PluginKind kind);

enum class ParameterType : std::uint8_t {
  kBool,
  kInteger,
  kNumber,
  kText,
  kDuration,  // a text as Go writes it: 200ms, 1m30s
  kTextList,
  kTextMap,
  kObject,      // counts by being there
  kObjectList,  // of ParameterSpec::fields
};

/// Whether a part of a configuration works in this version.
enum class Support : std::uint8_t {
  kWorks,
  kNoEffect,  // accepted, as llm-d does; nothing to do with it
  kWaits,     // known and checked; a server refuses to start with it
};

/// How settled a plugin type is: alpha needs --allow-experimental-plugins.
enum class Stability : std::uint8_t { kBeta, kAlpha, kDeprecated };

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
  bool required = false;
  Support support = Support::kWorks;
  std::optional<PluginKind> refers{};       // of kText: names a configured plugin of the kind, or nothing
  std::span<const ParameterSpec> fields{};  // of kObjectList
};

struct PluginSpec;

/// A plugin's parameters with the defaults filled in. Pre of each: there is a parameter of this name and type.
class ParameterReader {
 public:
  /// `config` (may be null) holds the other plugins.
  ParameterReader(std::span<const ParameterSpec> specs, const Parameters& parameters,
                  const SchedulingConfig* config = nullptr) noexcept
      : specs_{specs}, parameters_{parameters}, config_{config} {}
  [[nodiscard]] std::span<const ParameterSpec> specs() const noexcept { return specs_; }
  [[nodiscard]] bool flag(std::string_view name) const;
  [[nodiscard]] std::int64_t integer(std::string_view name) const;
  [[nodiscard]] double number(std::string_view name) const;
  [[nodiscard]] std::string text(std::string_view name) const;
  [[nodiscard]] milliseconds duration(std::string_view name) const;
  [[nodiscard]] TextList texts(std::string_view name) const;
  [[nodiscard]] TextMap text_map(std::string_view name) const;
  /// Readers of the objects of a kObjectList.
  [[nodiscard]] std::vector<ParameterReader> objects(std::string_view name) const;
  [[nodiscard]] bool is_set(std::string_view name) const { return parameters_.find(name) != nullptr; }
  /// Of kInteger and kNumber, as a float.
  [[nodiscard]] float real(std::string_view name) const { return static_cast<float>(number(name)); }
  /// Of kInteger. Pre: its range fits.
  [[nodiscard]] std::uint32_t count(std::string_view name) const { return static_cast<std::uint32_t>(integer(name)); }
  /// The parameters of another plugin of the configuration; null if there is none of the name.
  [[nodiscard]] const PluginInstance* other(std::string_view plugin) const;
  /// The first plugin of the configuration that has this type; null if there is none.
  [[nodiscard]] const PluginInstance* first_of(std::string_view type) const;
  /// All that is configured; null if the reader was made without it.
  [[nodiscard]] const SchedulingConfig* config() const noexcept { return config_; }

 private:
  [[nodiscard]] const ParameterSpec& spec(std::string_view name) const;

  std::span<const ParameterSpec> specs_;
  const Parameters& parameters_;
  const SchedulingConfig* config_;
};

/// The objects of one plugin instance: one for each thing that it does. Handlers and some data producers have none: the
/// scheduler reads their parameters when it is made.
struct PluginObjects {
  PluginObjects() = default;
  template <class P>
    requires std::is_base_of_v<Plugin, P>
  PluginObjects(std::unique_ptr<P> plugin) {  // NOLINT(google-explicit-constructor): the common case is one object
    add(std::move(plugin));
  }
  template <class P>
  void add(std::unique_ptr<P> plugin) {
    if constexpr (std::is_base_of_v<Filter, P>) {
      if constexpr (std::is_base_of_v<SaturationDetector, P>) detector = plugin.get();
      filter = std::move(plugin);
    } else if constexpr (std::is_base_of_v<Scorer, P>) {
      scorer = std::move(plugin);
    } else if constexpr (std::is_base_of_v<Picker, P>) {
      picker = std::move(plugin);
    } else if constexpr (std::is_base_of_v<Decider, P>) {
      decider = std::move(plugin);
    } else {
      static_assert(std::is_base_of_v<Admitter, P>);
      admitter = std::move(plugin);
    }
  }

  std::unique_ptr<const Filter> filter;
  const SaturationDetector* detector = nullptr;  // what `filter` is beside
  std::unique_ptr<const Scorer> scorer;
  std::unique_ptr<const Picker> picker;
  std::unique_ptr<const Decider> decider;
  std::unique_ptr<const Admitter> admitter;
};
/// What PluginSpec::make gives. Error kConfigInvalid: parameters that do not go together; `what` starts with the type.
using MadePlugin = Result<PluginObjects>;

/// A plugin type: its name in configurations, its parameters, and how to make one. Pre of make: the parameters were
/// checked.
struct PluginSpec {
  std::string_view type;
  PluginKind kind = PluginKind::kScorer;
  std::string_view help;
  std::span<const ParameterSpec> parameters{};
  MadePlugin (*make)(const ParameterReader& parameters) = nullptr;
  Stability stability = Stability::kBeta;
  Support support = Support::kWorks;
  std::string_view inputs{};    // what it reads of an endpoint and the request
  std::string_view no_data{};   // what it does without data; empty: the scheduler's stand-in, or it needs none
  bool ours = false;            // not a type of llm-d's
  bool reads_prefixes = false;  // cannot work without a producer of prefix matches

  [[nodiscard]] const ParameterSpec* find(std::string_view name) const noexcept;
};

/// All plugin types of scheduling, by kind and then name.
[[nodiscard]] std::span<const PluginSpec* const> plugin_specs() noexcept;
/// Null if there is none of the type.
[[nodiscard]] const PluginSpec* find_plugin_spec(std::string_view type) noexcept;

/// Error kConfigInvalid: the value's type, range or choice is wrong. `owner` begins `what`: the plugin's type; the
/// loader adds line and column.
[[nodiscard]] Result<void> check_parameter(std::string_view owner, const ParameterSpec& parameter,
                                           const ParameterValue& value);

/// Checks all parameters: there is such a parameter, its value fits, none that is required is missing.
[[nodiscard]] Result<void> check_parameters(std::string_view owner, std::span<const ParameterSpec> specs,
                                            const Parameters& parameters);

/// There is no such parameter; the hint names the nearest.
[[nodiscard]] Error unknown_parameter(std::string_view owner, std::span<const ParameterSpec> specs,
                                      std::string_view name);

/// A duration as Go writes it: a sum of numbers with units (h, m, s, ms, us, ns), or 0. Rounded down to milliseconds.
/// No value: not one, or negative, or beyond a year.
[[nodiscard]] std::optional<milliseconds> parse_go_duration(std::string_view text) noexcept;

}  // namespace llmd::scheduling
