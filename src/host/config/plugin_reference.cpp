#include "config/plugin_reference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include "config/plugin_registry.h"

namespace llmd::config {
namespace {

using scheduling::ParameterSpec;
using scheduling::ParameterType;
using scheduling::PluginSpec;
using scheduling::Stability;
using scheduling::Support;

constexpr std::string_view kHead = R"(# Plugins of an EndpointPickerConfig
Made by `llmd config docs` from the specs that validate; do not edit. How a configuration is written:
[configuration.md](configuration.md#endpointpickerconfig).

- **Maturity**: *beta*, *alpha* (needs `--allow-experimental-plugins`), *deprecated*; *waits*: known and checked, but a
  server of this version refuses to start with it; *no effect*: accepted, there is nothing to do.
- **Ours**: not a type of llm-d's.
- **Without data**: what happens if a metric was never told or is older than 2 s. *stand-in*: the endpoint counts as the
  mean of those that have data (0.5 if none has), so that it is neither favoured nor starved; explanations mark it.
)";
std::string_view stability_name(const PluginSpec& spec) {
  if (spec.support == Support::kWaits) return "waits";
  if (spec.support == Support::kNoEffect) return "no effect";
  switch (spec.stability) {
    case Stability::kBeta: return "beta";
    case Stability::kAlpha: return "alpha";
    case Stability::kDeprecated: return "deprecated";
  }
  return "beta";
}

std::string default_of(const ParameterSpec& parameter) {
  if (parameter.required) return "required";
  switch (parameter.type) {
    case ParameterType::kBool: return parameter.number != 0 ? "true" : "false";
    case ParameterType::kInteger:
    case ParameterType::kNumber: return fmt::format("{}", parameter.number);
    case ParameterType::kText:
    case ParameterType::kDuration: return parameter.text.empty() ? "" : fmt::format("`{}`", parameter.text);
    default: return "";
  }
}

std::string range_of(const ParameterSpec& parameter) {
  if (!parameter.choices.empty()) return fmt::format("{}", fmt::join(parameter.choices, ", "));
  if (parameter.refers) return fmt::format("name of a {}", scheduling::plugin_kind_name(*parameter.refers));
  if (parameter.type == ParameterType::kInteger || parameter.type == ParameterType::kNumber)
    return fmt::format("{} to {}", parameter.min, parameter.max);
  return std::string{scheduling::parameter_type_name(parameter.type)};
}

void write_parameters(std::span<const ParameterSpec> parameters, std::string_view prefix, std::string& out) {
  for (const ParameterSpec& parameter : parameters) {
    const std::string name = fmt::format("{}{}", prefix, parameter.name);
    const std::string_view support = parameter.support == Support::kWaits      ? " (waits)"
                                     : parameter.support == Support::kNoEffect ? " (no effect)"
                                                                               : "";
    out += fmt::format("| `{}` | {} | {} | {}{} |\n", name, default_of(parameter), range_of(parameter), parameter.help,
                       support);
    write_parameters(parameter.fields, name + "[].", out);
  }
}

std::string_view or_dash(std::string_view text, std::string_view otherwise) { return text.empty() ? otherwise : text; }

void write_table(scheduling::PluginKind kind, std::string& out) {
  const bool reads = kind <= scheduling::PluginKind::kSaturationDetector;
  out += reads ? "\n| type | what it does | inputs | maturity | without data |\n|---|---|---|---|---|\n"
               : "\n| type | what it does | maturity |\n|---|---|---|\n";
  for (const PluginSpec* spec : all_plugins()) {
    if (spec->kind != kind) continue;
    const std::string type = fmt::format("`{}`{}", spec->type, spec->ours ? " (ours)" : "");
    if (reads) {
      const std::string_view stand_in =
          kind == scheduling::PluginKind::kScorer && !spec->inputs.empty() ? "stand-in" : "-";
      out += fmt::format("| {} | {} | {} | {} | {} |\n", type, spec->help, or_dash(spec->inputs, "-"),
                         stability_name(*spec), or_dash(spec->no_data, stand_in));
    } else {
      out += fmt::format("| {} | {} | {} |\n", type, spec->help, stability_name(*spec));
    }
  }
}

}  // namespace

std::string plugin_reference() {
  std::string out{kHead};
  for (std::size_t k = 0; k <= static_cast<std::size_t>(scheduling::PluginKind::kDiscovery); ++k) {
    const auto kind = static_cast<scheduling::PluginKind>(k);
    std::string title{scheduling::plugin_kind_name(kind)};
    if (title.front() >= 'a' && title.front() <= 'z') title.front() = static_cast<char>(title.front() - 'a' + 'A');
    out += fmt::format("\n## {}\n", title);
    write_table(kind, out);
    for (const PluginSpec* spec : all_plugins()) {
      if (spec->kind != kind || spec->parameters.empty()) continue;
      out +=
          fmt::format("\n**`{}`**\n\n| parameter | default | range | what it does |\n|---|---|---|---|\n", spec->type);
      write_parameters(spec->parameters, "", out);
    }
  }
  return out;
}

}  // namespace llmd::config
