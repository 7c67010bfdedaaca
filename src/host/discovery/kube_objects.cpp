#include "discovery/kube_objects.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

namespace llmd::discovery {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t kDepthMax = 64;
constexpr std::int64_t kWeightMax = 1'000'000;
constexpr std::size_t kTextBytesMax = 4'096;  // of a name, label or model; Kubernetes' own bounds are below it

/// One object, and how errors name it.
class Source {
 public:
  Source(std::string_view kind, dom::element root)
      : root_{root},
        label_{fmt::format("{} {}/{}", kind, word(root, "/metadata/namespace").substr(0, kTextBytesMax),
                           word(root, "/metadata/name").substr(0, kTextBytesMax))} {}

  /// Empty if it is absent or no text.
  [[nodiscard]] static std::string_view word(dom::element from, std::string_view pointer) {
    std::string_view text;
    return from.at_pointer(pointer).get_string().get(text) == simdjson::SUCCESS ? text : std::string_view{};
  }

  [[nodiscard]] std::unexpected<Error> bad(std::string_view field, std::string_view what) const {
    return fail(ErrorCode::kConfigInvalid, fmt::format("{}: {} {}", label_, field, what));
  }

  /// Nothing: it is absent or null.
  [[nodiscard]] std::optional<dom::element> find(std::string_view pointer) const { return find(root_, pointer); }
  [[nodiscard]] static std::optional<dom::element> find(dom::element from, std::string_view pointer) {
    dom::element found;
    if (from.at_pointer(pointer).get(found) != simdjson::SUCCESS || found.is_null()) return std::nullopt;
    return found;
  }

  [[nodiscard]] Result<std::string> text(dom::element from, std::string_view pointer) const {
    const auto found = find(from, pointer);
    if (!found) return std::string{};
    std::string_view value;
    if (found->get_string().get(value) != simdjson::SUCCESS) return bad(pointer, "is not a text");
    if (value.size() > kTextBytesMax) return bad(pointer, fmt::format("is longer than {} bytes", kTextBytesMax));
    return std::string{value};
  }
  [[nodiscard]] Result<std::string> text(std::string_view pointer) const { return text(root_, pointer); }

  /// A list of at most `count_max`; empty if it is absent.
  [[nodiscard]] Result<std::vector<dom::element>> list(dom::element from, std::string_view pointer,
                                                       std::size_t count_max) const {
    std::vector<dom::element> items;
    const auto found = find(from, pointer);
    if (!found) return items;
    dom::array array;
    if (found->get_array().get(array) != simdjson::SUCCESS) return bad(pointer, "is not a list");
    for (const dom::element item : array) {
      if (items.size() == count_max) return bad(pointer, fmt::format("has more than {} entries", count_max));
      items.push_back(item);
    }
    return items;
  }
  [[nodiscard]] Result<std::vector<dom::element>> list(std::string_view pointer, std::size_t count_max) const {
    return list(root_, pointer, count_max);
  }

  [[nodiscard]] Result<std::map<std::string, std::string>> texts(std::string_view pointer) const {
    std::map<std::string, std::string> texts;
    const auto found = find(pointer);
    if (!found) return texts;
    dom::object object;
    if (found->get_object().get(object) != simdjson::SUCCESS) return bad(pointer, "is not a map");
    for (const dom::key_value_pair entry : object) {
      std::string_view value;
      if (entry.value.get_string().get(value) != simdjson::SUCCESS) return bad(pointer, "has a value that is no text");
      if (texts.size() == kLabelsMax) return bad(pointer, fmt::format("has more than {} entries", kLabelsMax));
      if (entry.key.size() > kTextBytesMax || value.size() > kTextBytesMax)
        return bad(pointer, fmt::format("has an entry longer than {} bytes", kTextBytesMax));
      texts.emplace(entry.key, value);
    }
    return texts;
  }

  [[nodiscard]] Result<std::int64_t> integer(dom::element of, std::string_view field, std::int64_t lowest,
                                             std::int64_t highest) const {
    std::int64_t value = 0;
    if (of.get_int64().get(value) != simdjson::SUCCESS || value < lowest || value > highest)
      return bad(field, fmt::format("is not an integer from {} to {}", lowest, highest));
    return value;
  }

  [[nodiscard]] bool leaving() const { return find("/metadata/deletionTimestamp").has_value(); }

 private:
  dom::element root_;
  std::string label_;
};

/// Parses and reads with the calling thread's parser, which does not keep the room of a large object.
template <class Read>
auto read_object(std::string_view kind, std::string_view json, Read read) -> decltype(read(std::declval<Source&>())) {
  constexpr std::size_t kKeptBytesMax = 256 * 1024;
  if (json.size() > kObjectBytesMax)
    return fail(ErrorCode::kConfigInvalid, fmt::format("{}: larger than {} bytes", kind, kObjectBytesMax));
  thread_local dom::parser kept{kKeptBytesMax};
  dom::parser large{kObjectBytesMax};
  dom::parser& parser = json.size() > kKeptBytesMax ? large : kept;
  // Room for that depth, once; a deeper object is an error.
  if (parser.max_depth() != kDepthMax && parser.allocate(std::max<std::size_t>(parser.capacity(), 4'096), kDepthMax))
    return fail(ErrorCode::kOutOfMemory, fmt::format("{}: no memory to read it", kind));
  dom::element root;
  if (const auto error = parser.parse(json.data(), json.size()).get(root); error != simdjson::SUCCESS)
    return fail(ErrorCode::kConfigInvalid, fmt::format("{}: {}", kind, simdjson::error_message(error)));
  if (!root.is_object()) return fail(ErrorCode::kConfigInvalid, fmt::format("{}: not a JSON object", kind));
  Source source{kind, root};
  return read(source);
}

Result<PoolRef> read_pool_ref(const Source& source) {
  PoolRef ref;
  LLMD_TRY(ref.group, source.text("/spec/poolRef/group"));
  LLMD_TRY(ref.name, source.text("/spec/poolRef/name"));
  return ref;
}

Result<RewriteRule> read_rule(const Source& source, dom::element json) {
  RewriteRule rule;
  LLMD_TRY(const std::vector<dom::element> matches, source.list(json, "/matches", kRulesMax));
  for (const dom::element match : matches) {
    LLMD_TRY(std::string model, source.text(match, "/model/value"));
    if (model.empty()) return source.bad("/spec/rules", "has a match without a model");
    rule.models.push_back(std::move(model));
  }
  LLMD_TRY(const std::vector<dom::element> targets, source.list(json, "/targets", kRulesMax));
  for (const dom::element entry : targets) {
    RewriteTarget target;
    LLMD_TRY(target.model, source.text(entry, "/modelRewrite"));
    if (target.model.empty()) return source.bad("/spec/rules", "has a target without modelRewrite");
    if (const auto weight = Source::find(entry, "/weight")) {
      LLMD_TRY(const std::int64_t value, source.integer(*weight, "/spec/rules: weight", 1, kWeightMax));
      target.weight = static_cast<std::uint32_t>(value);
    }
    rule.targets.push_back(std::move(target));
  }
  return rule;
}

bool is_ready(const Source& source, std::span<const dom::element> conditions) {
  if (source.leaving()) return false;
  for (const dom::element condition : conditions) {
    if (Source::word(condition, "/type") == "Ready") return Source::word(condition, "/status") == "True";
  }
  return false;
}

}  // namespace

Result<InferencePool> read_pool(std::string_view json) {
  return read_object("InferencePool", json, [](const Source& source) -> Result<InferencePool> {
    InferencePool pool{.selector = {}, .ports = {}, .leaving = source.leaving()};
    const bool old_shape = source.find("/spec/targetPortNumber").has_value();
    LLMD_TRY(pool.selector, source.texts(old_shape ? "/spec/selector" : "/spec/selector/matchLabels"));
    LLMD_TRY(pool.app_protocol, source.text("/spec/appProtocol"));
    const auto add = [&](dom::element number) -> Result<void> {
      LLMD_TRY(const std::int64_t port, source.integer(number, "a target port", 1, 65'535));
      pool.ports.push_back(static_cast<std::uint16_t>(port));
      return {};
    };
    if (old_shape) {
      LLMD_TRY_VOID(add(*source.find("/spec/targetPortNumber")));
      return pool;
    }
    LLMD_TRY(const std::vector<dom::element> ports, source.list("/spec/targetPorts", kPortsMax));
    for (const dom::element port : ports) {
      const auto number = Source::find(port, "/number");
      if (!number) return source.bad("/spec/targetPorts", "has an entry without number");
      LLMD_TRY_VOID(add(*number));
    }
    if (pool.ports.empty()) return source.bad("/spec/targetPorts", "names no port");
    return pool;
  });
}

Result<Pod> read_pod(std::string_view json) {
  return read_object("Pod", json, [](const Source& source) -> Result<Pod> {
    constexpr std::size_t kConditionsMax = 256;
    Pod pod;
    LLMD_TRY(pod.name_space, source.text("/metadata/namespace"));
    LLMD_TRY(pod.name, source.text("/metadata/name"));
    if (pod.name.empty()) return source.bad("/metadata/name", "is missing");
    LLMD_TRY(pod.labels, source.texts("/metadata/labels"));
    for (const char* pointer : {"/metadata/annotations/llm-d.ai~1active-ports",
                                "/metadata/annotations/inference.networking.k8s.io~1active-ports"}) {
      if (pod.active_ports || !source.find(pointer)) continue;
      LLMD_TRY(pod.active_ports, source.text(pointer));
    }
    LLMD_TRY(pod.ip, source.text("/status/podIP"));
    LLMD_TRY(const std::vector<dom::element> conditions, source.list("/status/conditions", kConditionsMax));
    pod.ready = is_ready(source, conditions);
    return pod;
  });
}

Result<InferenceObjective> read_objective(std::string_view json) {
  return read_object("InferenceObjective", json, [](const Source& source) -> Result<InferenceObjective> {
    InferenceObjective objective{.name = {}, .pool = {}, .leaving = source.leaving()};
    LLMD_TRY(objective.name, source.text("/metadata/name"));
    LLMD_TRY(objective.pool, read_pool_ref(source));
    if (const auto priority = source.find("/spec/priority")) {
      using Limits = std::numeric_limits<std::int32_t>;
      LLMD_TRY(const std::int64_t value, source.integer(*priority, "/spec/priority", Limits::min(), Limits::max()));
      objective.priority = static_cast<int>(value);
    }
    return objective;
  });
}

Result<InferenceModelRewrite> read_rewrite(std::string_view json) {
  return read_object("InferenceModelRewrite", json, [](const Source& source) -> Result<InferenceModelRewrite> {
    InferenceModelRewrite rewrite{.name = {}, .pool = {}, .created = {}, .rules = {}, .leaving = source.leaving()};
    LLMD_TRY(rewrite.name, source.text("/metadata/name"));
    LLMD_TRY(rewrite.created, source.text("/metadata/creationTimestamp"));
    LLMD_TRY(rewrite.pool, read_pool_ref(source));
    LLMD_TRY(const std::vector<dom::element> rules, source.list("/spec/rules", kRulesMax));
    for (const dom::element rule : rules) {
      LLMD_TRY(RewriteRule read, read_rule(source, rule));
      rewrite.rules.push_back(std::move(read));
    }
    return rewrite;
  });
}

}  // namespace llmd::discovery
