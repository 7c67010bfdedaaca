#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "model/endpoint.h"
#include "scheduling/config.h"

namespace llmd::scenarios {

/// A prompt as named stretches of tokens: prompts that begin with the same stretches share that prefix.
using Prompt = std::vector<std::pair<std::string, std::uint32_t>>;  // name, tokens

/// One endpoint at the start. What is not given was never reported.
struct EndpointLine {
  std::string name;
  std::vector<std::string> models{"m"};  // none: it has not told yet
  std::string role;
  EndpointHealth health = EndpointHealth::kReady;
  std::optional<std::uint32_t> waiting;
  std::optional<std::uint32_t> running;
  std::optional<float> kv_usage;
  std::uint32_t inflight = 0;
  std::int64_t age_ms = 0;
  std::vector<std::string> holds;  // prompts that were sent to it before
};

struct ExpectedFilter {
  std::string endpoint;
  std::string filter;
  std::string reason;
  std::string profile;  // empty: any
};

struct ExpectedScore {
  std::string endpoint;
  std::string scorer;
  std::string profile;  // empty: any
  std::optional<double> score;
  std::optional<bool> missing;
};

/// What the decision must be, and why. `decode` lists what may be chosen where the order of equals is random.
struct Expectation {
  std::string outcome = "dispatch";
  std::vector<std::string> decode;
  std::optional<std::string> prefill;  // "none": no prefill leg
  std::optional<std::uint32_t> cached_tokens;
  std::optional<std::string> pd_rule;
  std::optional<std::vector<std::string>> fallbacks;
  std::vector<ExpectedFilter> filtered;
  std::vector<ExpectedScore> scores;
  std::map<std::string, double> totals;  // of the decode profile's candidates
};

struct RequestLine {
  std::string id;
  std::string model = "m";
  std::string prompt;    // a name of `prompts`
  bool remember = true;  // the index learns of the decision
  bool stays = false;    // it is still in flight when the next one comes
  Expectation expect;
};

/// One file: a pool, requests in order, a configuration, and what is to come out of it.
struct Scenario {
  std::string about;
  scheduling::SchedulingConfig config;
  std::uint32_t block_tokens = 64;
  std::uint64_t seed = 1;
  std::map<std::string, Prompt> prompts;
  std::vector<EndpointLine> pool;
  std::vector<RequestLine> requests;
};

/// Strict: unknown keys, names and values are errors with line and column, and so is an expectation that states no
/// reason.
[[nodiscard]] Result<Scenario> load_scenario(const std::filesystem::path& path);

}  // namespace llmd::scenarios
