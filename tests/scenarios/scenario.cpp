// links: llmd_config llmd_scheduling llmd_prefix llmd_model
#include "scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "config/default_config.h"
#include "config/endpoint_picker_config.h"
#include "config/object_decoder.h"
#include "config/read_file.h"
#include "config/yaml_tree.h"

namespace llmd::scenarios {
namespace {

/// Prefill and decode apart by a threshold, so that a scenario can say which rule fires.
constexpr std::string_view kByThreshold = R"(apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: prefill-filter
- type: decode-filter
- type: queue-scorer
- type: kv-cache-utilization-scorer
- type: prefix-cache-scorer
- type: active-request-scorer
- type: max-score-picker
- {type: prefix-based-pd-decider, parameters: {nonCachedTokens: 64}}
- {type: disagg-profile-handler, parameters: {deciders: {prefill: prefix-based-pd-decider}}}
schedulingProfiles:
- name: prefill
  plugins:
  - {pluginRef: prefill-filter}
  - {pluginRef: queue-scorer, weight: 2}
  - {pluginRef: active-request-scorer, weight: 1}
  - {pluginRef: prefix-cache-scorer, weight: 3}
  - {pluginRef: max-score-picker}
- name: decode
  plugins:
  - {pluginRef: decode-filter}
  - {pluginRef: queue-scorer, weight: 2}
  - {pluginRef: kv-cache-utilization-scorer, weight: 2}
  - {pluginRef: active-request-scorer, weight: 1}
  - {pluginRef: prefix-cache-scorer, weight: 3}
  - {pluginRef: max-score-picker}
)";

using config::FieldDecoder;
using config::ObjectDecoder;
using config::YamlNode;

/// Decodes one file into a Scenario.
class ScenarioDecoder {
 public:
  explicit ScenarioDecoder(std::string_view source) : source_{source}, decoder_{source} {}
  Result<Scenario> decode(const YamlNode& root);

 private:
  FieldDecoder text(std::string_view name, std::string& into) const;
  FieldDecoder optional_text(std::string_view name, std::optional<std::string>& into) const;
  FieldDecoder flag(std::string_view name, bool& into) const;
  template <class Number>
  FieldDecoder whole(std::string_view name, Number& into) const;
  template <class Number>
  FieldDecoder optional_whole(std::string_view name, std::optional<Number>& into) const;
  FieldDecoder names(std::string_view name, std::vector<std::string>& into) const;
  template <class Decode>
  FieldDecoder list(std::string_view name, Decode&& decode) const;

  Result<void> read_config(const YamlNode& node);
  Result<void> prompts(const YamlNode& node);
  Result<void> endpoint(const YamlNode& node);
  Result<void> request(const YamlNode& node);
  Result<void> expectation(const YamlNode& node, Expectation& expect) const;
  Result<void> expected_filter(const YamlNode& node, Expectation& expect) const;
  Result<void> expected_score(const YamlNode& node, Expectation& expect) const;
  Result<void> expected_totals(const YamlNode& node, Expectation& expect) const;
  Result<void> check(const YamlNode& root) const;

  std::string_view source_;
  ObjectDecoder decoder_;
  Scenario scenario_;
};

FieldDecoder ScenarioDecoder::text(std::string_view name, std::string& into) const {
  return {name, [this, name, &into](const YamlNode& node) -> Result<void> {
            LLMD_TRY(into, decoder_.text(node, name));
            return {};
          }};
}

FieldDecoder ScenarioDecoder::optional_text(std::string_view name, std::optional<std::string>& into) const {
  return {name, [this, name, &into](const YamlNode& node) -> Result<void> {
            LLMD_TRY(into, decoder_.text(node, name));
            return {};
          }};
}

FieldDecoder ScenarioDecoder::flag(std::string_view name, bool& into) const {
  return {name, [this, name, &into](const YamlNode& node) -> Result<void> {
            LLMD_TRY(into, decoder_.flag(node, name));
            return {};
          }};
}

template <class Number>
FieldDecoder ScenarioDecoder::whole(std::string_view name, Number& into) const {
  return {name, [this, name, &into](const YamlNode& node) -> Result<void> {
            LLMD_TRY(const std::int64_t value, decoder_.integer(node, name));
            if (value < 0 || std::cmp_greater(value, std::numeric_limits<Number>::max())) {
              return decoder_.fail_at(
                  node, fmt::format("{} is {}; expected 0 to {}", name, value, std::numeric_limits<Number>::max()));
            }
            into = static_cast<Number>(value);
            return {};
          }};
}

template <class Number>
FieldDecoder ScenarioDecoder::optional_whole(std::string_view name, std::optional<Number>& into) const {
  return {name, [this, name, &into](const YamlNode& node) -> Result<void> {
            Number value = 0;
            LLMD_TRY_VOID(whole(name, value).decode(node));
            into = value;
            return {};
          }};
}

FieldDecoder ScenarioDecoder::names(std::string_view name, std::vector<std::string>& into) const {
  return {name, [this, name, &into](const YamlNode& node) -> Result<void> {
            const auto add = [&](const YamlNode& item) -> Result<void> {
              LLMD_TRY(std::string each, decoder_.text(item, name));
              into.push_back(std::move(each));
              return {};
            };
            return node.kind == YamlNode::Kind::kScalar ? add(node) : decoder_.sequence(node, name, add);
          }};
}

template <class Decode>
FieldDecoder ScenarioDecoder::list(std::string_view name, Decode&& decode) const {
  return {name, [this, name, decode](const YamlNode& node) { return decoder_.sequence(node, name, decode); }};
}

Result<Scenario> ScenarioDecoder::decode(const YamlNode& root) {
  const FieldDecoder fields[] = {
      text("about", scenario_.about),
      {"config", [this](const YamlNode& node) { return read_config(node); }},
      whole("block_tokens", scenario_.block_tokens),
      whole("seed", scenario_.seed),
      {"prompts", [this](const YamlNode& node) { return prompts(node); }},
      list("pool", [this](const YamlNode& node) { return endpoint(node); }),
      list("requests", [this](const YamlNode& node) { return request(node); }),
  };
  LLMD_TRY_VOID(decoder_.object(root, "a scenario", fields));
  LLMD_TRY_VOID(check(root));
  return std::move(scenario_);
}

Result<void> ScenarioDecoder::read_config(const YamlNode& node) {
  LLMD_TRY(std::string yaml, decoder_.text(node, "config"));
  if (yaml == "llm-d-default") yaml = config::llm_d_default_config();
  if (yaml == "disagg") yaml = kByThreshold;
  LLMD_TRY(config::EndpointPickerConfig parsed,
           config::parse_endpoint_picker_config(yaml, fmt::format("{}:{}: config", source_, node.line)));
  scenario_.config = std::move(parsed.scheduling);
  return {};
}

Result<void> ScenarioDecoder::prompts(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::kMap) return decoder_.fail_at(node, "prompts is not an object");
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const YamlNode& stretches = node.items[i];
    if (stretches.kind != YamlNode::Kind::kMap)
      return decoder_.fail_at(stretches, "a prompt is not an object of stretches and tokens");
    Prompt prompt;
    for (std::size_t k = 0; k < stretches.keys.size(); ++k) {
      std::uint32_t tokens = 0;
      LLMD_TRY_VOID(whole(stretches.keys[k].text, tokens).decode(stretches.items[k]));
      prompt.emplace_back(stretches.keys[k].text, tokens);
    }
    if (!scenario_.prompts.emplace(node.keys[i].text, std::move(prompt)).second)
      return decoder_.fail_at(node.keys[i], "two prompts of one name");
  }
  return {};
}

Result<void> ScenarioDecoder::endpoint(const YamlNode& node) {
  EndpointLine line;
  const FieldDecoder fields[] = {
      text("name", line.name),
      {"model",
       [&](const YamlNode& value) -> Result<void> {
         line.models.clear();
         LLMD_TRY_VOID(names("model", line.models).decode(value));
         std::erase(line.models, "");
         return {};
       }},
      text("role", line.role),
      {"health",
       [&](const YamlNode& value) -> Result<void> {
         for (const auto health : {EndpointHealth::kUnknown, EndpointHealth::kReady, EndpointHealth::kProbing,
                                   EndpointHealth::kDraining, EndpointHealth::kDown}) {
           if (value.text != health_name(health)) continue;
           line.health = health;
           return {};
         }
         return decoder_.fail_at(
             value, fmt::format("health is \"{}\"; expected unknown, ready, probing, draining or down", value.text));
       }},
      optional_whole("waiting", line.waiting),
      optional_whole("running", line.running),
      {"kv_usage",
       [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(const double usage, decoder_.number(value, "kv_usage"));
         line.kv_usage = static_cast<float>(usage);
         return {};
       }},
      whole("inflight", line.inflight),
      whole("age_ms", line.age_ms),
      names("holds", line.holds),
  };
  LLMD_TRY_VOID(decoder_.object(node, "an endpoint", fields));
  if (line.name.empty()) return decoder_.fail_at(node, "an endpoint has no name");
  for (const std::string& prompt : line.holds) {
    if (!scenario_.prompts.contains(prompt))
      return decoder_.fail_at(node, fmt::format("holds names no prompt: \"{}\"", prompt));
  }
  scenario_.pool.push_back(std::move(line));
  return {};
}

Result<void> ScenarioDecoder::request(const YamlNode& node) {
  RequestLine line;
  bool expects = false;
  const FieldDecoder fields[] = {
      text("id", line.id),
      text("model", line.model),
      text("prompt", line.prompt),
      flag("remember", line.remember),
      flag("stays", line.stays),
      {"expect",
       [&](const YamlNode& value) {
         expects = true;
         return expectation(value, line.expect);
       }},
  };
  LLMD_TRY_VOID(decoder_.object(node, "a request", fields));
  if (!expects) return decoder_.fail_at(node, "a request states no expectation");
  if (!scenario_.prompts.contains(line.prompt))
    return decoder_.fail_at(node, fmt::format("prompt names no prompt: \"{}\"", line.prompt));
  if (line.id.empty()) line.id = fmt::format("r{}", scenario_.requests.size() + 1);
  scenario_.requests.push_back(std::move(line));
  return {};
}

Result<void> ScenarioDecoder::expectation(const YamlNode& node, Expectation& expect) const {
  std::vector<std::string> fallbacks;
  bool has_fallbacks = false;
  const FieldDecoder fields[] = {
      text("outcome", expect.outcome),
      names("decode", expect.decode),
      optional_text("prefill", expect.prefill),
      optional_whole("cached_tokens", expect.cached_tokens),
      optional_text("pd_rule", expect.pd_rule),
      {"fallbacks",
       [&](const YamlNode& value) {
         has_fallbacks = true;
         return names("fallbacks", fallbacks).decode(value);
       }},
      list("filtered", [&](const YamlNode& item) { return expected_filter(item, expect); }),
      list("scores", [&](const YamlNode& item) { return expected_score(item, expect); }),
      {"totals", [&](const YamlNode& value) { return expected_totals(value, expect); }},
  };
  LLMD_TRY_VOID(decoder_.object(node, "an expectation", fields));
  if (has_fallbacks) expect.fallbacks = std::move(fallbacks);
  if (expect.outcome != "dispatch" && expect.outcome != "no-endpoint" && expect.outcome != "model-unknown") {
    return decoder_.fail_at(
        node, fmt::format("outcome is \"{}\"; expected dispatch, no-endpoint or model-unknown", expect.outcome));
  }
  if (expect.outcome == "dispatch" && expect.decode.empty())
    return decoder_.fail_at(node, "an expectation names no decode endpoint");
  if (expect.filtered.empty() && expect.scores.empty() && expect.totals.empty() && !expect.pd_rule) {
    return decoder_.fail_at(node, "an expectation states no reason", "add filtered, scores, totals or pd_rule");
  }
  return {};
}

Result<void> ScenarioDecoder::expected_filter(const YamlNode& node, Expectation& expect) const {
  ExpectedFilter line;
  const FieldDecoder fields[] = {text("endpoint", line.endpoint), text("filter", line.filter),
                                 text("reason", line.reason), text("profile", line.profile)};
  LLMD_TRY_VOID(decoder_.object(node, "a filtered endpoint", fields));
  if (line.endpoint.empty() || line.filter.empty())
    return decoder_.fail_at(node, "a filtered endpoint lacks endpoint or filter");
  expect.filtered.push_back(std::move(line));
  return {};
}

Result<void> ScenarioDecoder::expected_score(const YamlNode& node, Expectation& expect) const {
  ExpectedScore line;
  const FieldDecoder fields[] = {text("endpoint", line.endpoint),
                                 text("scorer", line.scorer),
                                 text("profile", line.profile),
                                 {"score",
                                  [&](const YamlNode& value) -> Result<void> {
                                    LLMD_TRY(line.score, decoder_.number(value, "score"));
                                    return {};
                                  }},
                                 {"missing", [&](const YamlNode& value) -> Result<void> {
                                    LLMD_TRY(line.missing, decoder_.flag(value, "missing"));
                                    return {};
                                  }}};
  LLMD_TRY_VOID(decoder_.object(node, "a score", fields));
  if (!line.score && !line.missing) return decoder_.fail_at(node, "a score states neither score nor missing");
  expect.scores.push_back(std::move(line));
  return {};
}

Result<void> ScenarioDecoder::expected_totals(const YamlNode& node, Expectation& expect) const {
  if (node.kind != YamlNode::Kind::kMap)
    return decoder_.fail_at(node, "totals is not an object of endpoints and totals");
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    LLMD_TRY(expect.totals[node.keys[i].text], decoder_.number(node.items[i], "a total"));
  }
  return {};
}

Result<void> ScenarioDecoder::check(const YamlNode& root) const {
  if (scenario_.about.empty()) return decoder_.fail_at(root, "a scenario says nothing in about");
  if (scenario_.config.profiles.empty()) return decoder_.fail_at(root, "a scenario has no config");
  if (scenario_.block_tokens == 0) return decoder_.fail_at(root, "block_tokens is 0");
  if (scenario_.requests.empty()) return decoder_.fail_at(root, "a scenario has no requests");
  return {};
}

}  // namespace

Result<Scenario> load_scenario(const std::filesystem::path& path) {
  constexpr std::size_t kBytesMax = 256 * 1024;
  LLMD_TRY(const std::string text, config::read_file(path, kBytesMax));
  const std::string source = path.filename().string();
  LLMD_TRY(const YamlNode root, config::parse_yaml(text, source));
  return ScenarioDecoder{source}.decode(root);
}

}  // namespace llmd::scenarios
