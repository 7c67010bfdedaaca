#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling::testing {

using GivenParameters = std::vector<std::pair<std::string, ParameterValue>>;

inline Parameters parameters_of(const GivenParameters& values) {
  Parameters parameters;
  for (const auto& [name, value] : values) parameters.set(name, value);
  return parameters;
}

/// What the builder does with one plugin: checks the parameters, then makes it.
inline MadePlugin try_make(const PluginSpec& spec, const Parameters& parameters,
                           const SchedulingConfig* config = nullptr) {
  if (auto checked = check_parameters(spec.type, spec.parameters, parameters); !checked)
    return std::unexpected(std::move(checked).error());
  return spec.make(ParameterReader{spec.parameters, parameters, config});
}

/// Pre: the parameters are good.
inline PluginObjects make_plugin(const PluginSpec& spec, const Parameters& parameters = {},
                                 const SchedulingConfig* config = nullptr) {
  return std::move(try_make(spec, parameters, config)).value();
}

/// Why the parameters are refused; empty: they are not.
inline std::string refusal(const PluginSpec& spec, const Parameters& parameters,
                           const SchedulingConfig* config = nullptr) {
  const MadePlugin made = try_make(spec, parameters, config);
  return made ? std::string{} : made.error().what;
}

// The same by the type's name. Pre: there is such a type.
inline MadePlugin try_make(std::string_view type, const GivenParameters& given = {},
                           const SchedulingConfig* config = nullptr) {
  return try_make(*find_plugin_spec(type), parameters_of(given), config);
}
inline std::unique_ptr<const Scorer> made_scorer(std::string_view type, const GivenParameters& given = {}) {
  return std::move(try_make(type, given).value().scorer);
}
inline std::string refusal(std::string_view type, const GivenParameters& given) {
  return refusal(*find_plugin_spec(type), parameters_of(given));
}

}  // namespace llmd::scheduling::testing
