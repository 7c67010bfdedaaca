// links: llmd_api
// What the gateway reads and rewrites of a body without validating it: no crash on any bytes; what a strict parser
// accepts is still JSON afterwards, with the model asked for and without the fields by which our parts steer each
// other.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "api/openai/answer_usage.h"
#include "api/openai/body_edits.h"
#include "api/openai/routing_fields.h"

namespace {

using Json = nlohmann::json;

void check_rewrite(const std::string& before, const std::string& after) {
  const Json was = Json::parse(before, nullptr, false);
  if (!was.is_object()) return;
  const Json is = Json::parse(after, nullptr, false);
  if (!is.is_object() || is.value("model", std::string{}) != "m\"") std::abort();
  for (const auto& [name, value] : is.items()) {
    if (llmd::openai::is_steering_field(name)) std::abort();
    if (name == "stream_options" && value.is_object() && value.value("include_usage", Json{}) == true) continue;
    // Of two vllm_xargs one may be cut, and which of them counts then changes; sampling_params' extra_args are emptied.
    const bool changes_inside = name == "vllm_xargs" || name == "sampling_params";
    if (name != "model" && !changes_inside && (!was.contains(name) || was[name] != value)) std::abort();
  }
}

/// The sidecar's: what a strict parser accepts is cut, in whatever JSON can hide; nothing stays by which to steer.
void check_cut(std::string body) {
  const Json was = Json::parse(body, nullptr, false);
  const bool may_steer = llmd::openai::may_steer(body);
  const auto cut = llmd::openai::without_steering(body);
  if (!cut || !was.is_object()) return;
  const Json is = Json::parse(*cut, nullptr, false);
  if (!is.is_object()) std::abort();
  const auto steers = [](const std::string& name) {
    return name != "cache_hit_threshold" && llmd::openai::is_steering_field(name);
  };
  const Json inner = is.value("sampling_params", Json{});
  for (const Json& object : {is, inner.is_object() ? inner.value("extra_args", Json{}) : Json{}}) {
    if (!object.is_object()) continue;
    for (const auto& [name, value] : object.items()) {
      if (steers(name)) std::abort();
    }
  }
  if (!may_steer && *cut != body) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string body{reinterpret_cast<const char*>(data), size};
  const std::string before = body;
  if (const auto fields = llmd::openai::read_routing_fields(body)) {
    const llmd::openai::BodyChanges changes{.model = "m\"", .ask_for_usage = fields->may_ask_for_usage()};
    check_rewrite(before, llmd::openai::rewrite_body(body, *fields, changes).value_or(body));
  }
  const llmd::pd::FieldEdits edits{{"max_tokens", "1"}, {"stream", ""}, {"s.m", "2"}};
  if (const auto edited = llmd::openai::apply_edits(body, edits)) {
    const bool was_json = Json::parse(before, nullptr, false).is_object();
    if (was_json && !Json::parse(*edited, nullptr, false).is_object()) std::abort();
  }
  check_cut(before);
  (void)llmd::openai::find_usage(before);
  return 0;
}
