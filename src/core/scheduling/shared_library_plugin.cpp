#include "scheduling/shared_library_plugin.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "path", .type = ParameterType::kText, .help = "of the shared library", .required = true},
    ParameterSpec{.name = "parameters",
                  .type = ParameterType::kText,
                  .text = "{}",
                  .help = "handed to the plugin as it is; by custom JSON"},
    ParameterSpec{.name = "timeBudgetMicroseconds",
                  .type = ParameterType::kInteger,
                  .number = 200,
                  .min = 1,
                  .max = 1e6,
                  .help = "of one call; a plugin that takes longer holds up the request"},
    ParameterSpec{.name = "overrunsMax",
                  .type = ParameterType::kInteger,
                  .number = 10,
                  .max = 1e6,
                  .help =
                      "calls beyond the budget after which it is called no more, of which each 1,000 calls pardon one; "
                      "0: never"},
};

/// Stands for a plugin that is not loaded.
class UnloadedScorer final : public Scorer {
 public:
  [[nodiscard]] MetricSet consumes() const noexcept override { return {}; }
  void score(const PluginInput& /*input*/, std::span<const EndpointIndex> /*candidates*/,
             std::span<float> scores) const noexcept override {
    std::ranges::fill(scores, kNoData);
  }
};

class UnloadedFilter final : public Filter {
 public:
  [[nodiscard]] std::size_t filter(const PluginInput& /*input*/,
                                   std::span<EndpointIndex> candidates) const noexcept override {
    return candidates.size();
  }
  [[nodiscard]] std::string reason(const PluginInput& /*input*/, EndpointIndex /*endpoint*/) const override {
    return {};
  }
};

Result<AbiPlugin> load(const ParameterReader& parameters, PluginLibraries& libraries) {
  LLMD_TRY(const PluginLibraries::Library library, libraries.open(parameters.text("path")));
  LLMD_TRY(AbiPlugin plugin,
           make_abi_plugin(library.table,
                           {.parameters_json = parameters.text("parameters"),
                            .budget = std::chrono::microseconds{parameters.integer("timeBudgetMicroseconds")},
                            .overruns_max = parameters.count("overrunsMax"),
                            .library = library.handle},
                           libraries.clock()));
  return plugin;
}

PluginLibraries* libraries_of(const ParameterReader& parameters) {
  return parameters.config() == nullptr ? nullptr : parameters.config()->libraries;
}

std::unexpected<Error> wrong_kind(std::string_view type, const ParameterReader& parameters, std::string_view other) {
  return fail(ErrorCode::kConfigInvalid,
              fmt::format("{}: {} is a library of the other kind", type, parameters.text("path")),
              fmt::format("use {}", other));
}

}  // namespace

constinit const PluginSpec SharedLibraryPlugin::kFilterSpec{
    .type = "shared-library-filter",
    .kind = PluginKind::kFilter,
    .help = "a filter from a shared library",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      PluginLibraries* libraries = libraries_of(parameters);
      if (libraries == nullptr) return std::make_unique<const UnloadedFilter>();
      LLMD_TRY(AbiPlugin plugin, load(parameters, *libraries));
      if (plugin.objects.filter == nullptr)
        return wrong_kind("shared-library-filter", parameters, "shared-library-scorer");
      libraries->made(plugin);
      return std::move(plugin.objects);
    },
    .inputs = "what the library asks for",
    .no_data = "told to the plugin; all are kept once it is switched off",
    .ours = true,
};

constinit const PluginSpec SharedLibraryPlugin::kScorerSpec{
    .type = "shared-library-scorer",
    .kind = PluginKind::kScorer,
    .help = "a scorer from a shared library",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      PluginLibraries* libraries = libraries_of(parameters);
      if (libraries == nullptr) return std::make_unique<const UnloadedScorer>();
      LLMD_TRY(AbiPlugin plugin, load(parameters, *libraries));
      if (plugin.objects.scorer == nullptr)
        return wrong_kind("shared-library-scorer", parameters, "shared-library-filter");
      libraries->made(plugin);
      return std::move(plugin.objects);
    },
    .inputs = "what the library asks for",
    .no_data = "told to the plugin; stand-in once it is switched off",
    .ours = true,
};

}  // namespace llmd::scheduling
