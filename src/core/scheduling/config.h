#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"

namespace llmd::scheduling {

class Parameters;
using TextList = std::vector<std::string>;
using TextMap = std::map<std::string, std::string, std::less<>>;
using ObjectList = std::vector<Parameters>;
using ParameterValue = std::variant<bool, std::int64_t, double, std::string, TextList, TextMap, ObjectList>;

/// The parameters that a configuration gives to one plugin. Nested objects are flattened with dots: "deciders.prefill".
/// The loader has checked names, types and ranges against the plugin's spec; what is not set has the spec's default.
class Parameters {
 public:
  Parameters() = default;
  void set(std::string name, ParameterValue value) { values_.insert_or_assign(std::move(name), std::move(value)); }
  [[nodiscard]] const ParameterValue* find(std::string_view name) const;
  [[nodiscard]] const auto& values() const noexcept { return values_; }

 private:
  std::map<std::string, ParameterValue, std::less<>> values_;
};

/// One entry of `plugins`. An empty name means the type.
struct PluginInstance {
  std::string name{};
  std::string type{};
  Parameters parameters{};
};

/// One entry of a profile's `plugins`. The weight counts for scorers only.
struct PluginRef {
  std::string plugin{};  // the instance's name
  double weight = 1.0;
};

struct ProfileConfig {
  std::string name{};
  std::vector<PluginRef> plugins{};
};

class PluginLibraries;

/// What a Scheduler is made of: the scheduling part of an EndpointPickerConfig, typed.
struct SchedulingConfig {
  std::vector<PluginInstance> plugins{};
  std::vector<ProfileConfig> profiles{};
  /// Plugins of other layers, whose parameters those of scheduling may look at.
  std::vector<PluginInstance> others{};
  /// Loads plugins from shared libraries; must outlive the schedulers made. Null: they are checked, and have no data.
  PluginLibraries* libraries = nullptr;

  /// A reading older than this counts as missing. Raise it if scrapes are slow; most people leave it alone.
  std::chrono::milliseconds metric_age_max{2'000};
  /// Endpoints named beside the chosen one, for retries. Higher: more endpoints are tried when some are broken.
  std::uint32_t fallbacks_max = 8;
  /// Endpoints that do not list the request's model are no candidates. Off where the proxy's routes know who serves
  /// what, as behind llm-d's endpoint picker.
  bool checks_models = true;
  /// Candidates and filtered endpoints listed in one explanation; the counts of all are given beside them.
  std::uint32_t explain_endpoints_max = 64;
};

/// Fills in what llm-d's loader fills in (scheduling spec 2): no profile → one with every filter, scorer and picker;
/// one profile and no handler → single-profile-handler; a profile without picker → a configured one, else
/// max-score-picker; a prefix scorer or decider without producer → approx-prefix-cache-producer. Idempotent. Without
/// any plugin and profile: queue-scorer 2, kv-cache-utilization-scorer 2, prefix-cache-scorer 3.
void apply_defaults(SchedulingConfig& config);

/// How prompts are cut into the blocks of the prefix index: the parameters of approx-prefix-cache-producer.
struct PrefixOptions {
  bool auto_tune = true;                       // take the block size that the engines report
  std::uint32_t block_tokens = 64;             // below 64 counts as 64
  std::uint32_t blocks_max = 2'048;            // of one prompt, if tokens_max is 0; 0: no limit
  std::uint32_t tokens_max = 131'072;          // of one prompt; 0: blocks_max counts
  std::uint32_t endpoint_blocks_max = 31'250;  // least recently used go first
};

/// What a request adds to the tokens in flight at its endpoint: the parameters of inflight-load-producer.
struct InflightOptions {
  bool add_output = false;       // beside the uncached prompt an estimate of the answer, until it ends
  double output_ratio = 1.5;     // of the prompt's tokens
  std::uint32_t output_max = 0;  // tokens; 0: no limit but the client's
};

}  // namespace llmd::scheduling
