#include "config/hardware_profile.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "config/object_decoder.h"
#include "config/read_file.h"
#include "config/yaml_tree.h"

namespace llmd::config {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{64} << 10;
constexpr double kStepMax = 10;  // seconds; more would take years of scrapes
constexpr double kCostMax = 1;
constexpr double kPerKilotokenMax = 1;  // a slow core's; a step's time is bounded by simulation/engine
constexpr double kStartMax = 3'600;
constexpr double kSlowdownMax = 10;

/// A number from `least` to `most`.
FieldDecoder number(const ObjectDecoder& decoder, std::string_view name, double least, double most, double& into) {
  return {name, [&decoder, name, least, most, &into](const YamlNode& node) -> Result<void> {
            LLMD_TRY(into, decoder.number(node, name));
            if (into >= least && into <= most) return {};
            return decoder.fail_at(node, fmt::format("{} is {}; expected {} to {}", name, into, least, most));
          }};
}

template <class Integer>
FieldDecoder integer(const ObjectDecoder& decoder, std::string_view name, std::int64_t most, Integer& into) {
  return {name, [&decoder, name, most, &into](const YamlNode& node) -> Result<void> {
            LLMD_TRY(const std::int64_t value, decoder.integer(node, name));
            if (value < 1 || value > most)
              return decoder.fail_at(node, fmt::format("{} is {}; expected 1 to {}", name, value, most));
            into = static_cast<Integer>(value);
            return {};
          }};
}

Result<void> decode_slot_class(const ObjectDecoder& decoder, const YamlNode& node,
                               std::vector<batching::SlotClass>& classes) {
  batching::SlotClass each;
  const FieldDecoder fields[] = {integer(decoder, "slots", kProfileSlotsMax, each.slots),
                                 integer(decoder, "tokens_max", kProfileTokensMax, each.tokens_max)};
  LLMD_TRY_VOID(decoder.object(node, "a class of slots", fields));
  if (each.slots == 0 || each.tokens_max == 0)
    return decoder.fail_at(node, "a class of slots needs slots and tokens_max");
  if (!classes.empty() && each.tokens_max <= classes.back().tokens_max)
    return decoder.fail_at(node, "expected classes of slots with the smallest tokens_max first");
  if (classes.size() == kProfileClassesMax)
    return decoder.fail_at(node, fmt::format("expected at most {} classes of slots", kProfileClassesMax));
  classes.push_back(each);
  return {};
}

Result<std::vector<batching::SlotClass>> decode_slots(const ObjectDecoder& decoder, const YamlNode& node) {
  std::vector<batching::SlotClass> classes;
  LLMD_TRY_VOID(
      decoder.sequence(node, "slots", [&](const YamlNode& item) { return decode_slot_class(decoder, item, classes); }));
  if (classes.empty()) return decoder.fail_at(node, "expected at least one class of slots");
  return classes;
}

}  // namespace

Result<simulation::HardwareProfile> parse_hardware_profile(std::string_view text, std::string_view source) {
  LLMD_TRY(const YamlNode root, parse_yaml(text, source));
  const ObjectDecoder decoder{source};
  simulation::HardwareProfile profile;
  const auto cost = [&](std::string_view name, double& into) { return number(decoder, name, 0, kCostMax, into); };
  const FieldDecoder fields[] = {
      {"name",
       [&](const YamlNode& node) -> Result<void> {
         LLMD_TRY(profile.name, decoder.text(node, "name"));
         return {};
       }},
      number(decoder, "step_s", 1e-6, kStepMax, profile.step_s),
      cost("prefill_token_s", profile.prefill_token_s),
      number(decoder, "prefill_token_per_kilotoken_s", 0, kPerKilotokenMax, profile.prefill_token_per_kilotoken_s),
      cost("decode_sequence_s", profile.decode_sequence_s),
      number(decoder, "decode_sequence_per_kilotoken_s", 0, kPerKilotokenMax, profile.decode_sequence_per_kilotoken_s),
      cost("restore_token_s", profile.restore_token_s),
      cost("submit_s", profile.submit_s),
      cost("stream_s", profile.stream_s),
      number(decoder, "start_s", 0, kStartMax, profile.start_s),
      number(decoder, "neighbour_slowdown", 0, kSlowdownMax, profile.neighbour_slowdown),
      number(decoder, "sharing_slowdown", 0, kSlowdownMax, profile.sharing_slowdown),
      cost("transfer_latency_s", profile.transfer_latency_s),
      number(decoder, "transfer_bytes_per_s", 1, 1e15, profile.transfer_bytes_per_s),
      number(decoder, "kv_bytes_per_token", 1, 1e9, profile.kv_bytes_per_token),
      integer(decoder, "store_tokens", kProfileTokensMax, profile.store_tokens),
      integer(decoder, "step_tokens_max", kProfileTokensMax, profile.batching.step_tokens_max),
      integer(decoder, "prefill_chunk_max", kProfileTokensMax, profile.batching.prefill_chunk_max),
      integer(decoder, "waiting_max", kProfileTokensMax, profile.batching.waiting_max),
      integer(decoder, "block_tokens", kProfileBlockTokensMax, profile.batching.block_tokens),
      {"llama_steps",
       [&](const YamlNode& node) -> Result<void> {
         LLMD_TRY(profile.llama_steps, decoder.flag(node, "llama_steps"));
         return {};
       }},
      {"slots",
       [&](const YamlNode& node) -> Result<void> {
         LLMD_TRY(profile.batching.classes, decode_slots(decoder, node));
         return {};
       }},
  };
  LLMD_TRY_VOID(decoder.object(root, "a hardware profile", fields));
  return profile;
}

std::string hardware_profile_yaml(const simulation::HardwareProfile& profile) {
  std::string yaml = fmt::format("name: \"{}\"\n", profile.name);
  const auto line = [&yaml](std::string_view name, auto value) { yaml += fmt::format("{}: {}\n", name, value); };
  line("step_s", profile.step_s);
  line("prefill_token_s", profile.prefill_token_s);
  line("prefill_token_per_kilotoken_s", profile.prefill_token_per_kilotoken_s);
  line("decode_sequence_s", profile.decode_sequence_s);
  line("decode_sequence_per_kilotoken_s", profile.decode_sequence_per_kilotoken_s);
  line("restore_token_s", profile.restore_token_s);
  line("submit_s", profile.submit_s);
  line("stream_s", profile.stream_s);
  line("start_s", profile.start_s);
  line("neighbour_slowdown", profile.neighbour_slowdown);
  line("sharing_slowdown", profile.sharing_slowdown);
  yaml += "slots:\n";
  for (const batching::SlotClass& each : profile.batching.classes)
    yaml += fmt::format("- {{slots: {}, tokens_max: {}}}\n", each.slots, each.tokens_max);
  line("step_tokens_max", profile.batching.step_tokens_max);
  line("prefill_chunk_max", profile.batching.prefill_chunk_max);
  line("waiting_max", profile.batching.waiting_max);
  line("block_tokens", profile.batching.block_tokens);
  line("llama_steps", profile.llama_steps);
  line("store_tokens", profile.store_tokens);
  line("kv_bytes_per_token", profile.kv_bytes_per_token);
  line("transfer_bytes_per_s", profile.transfer_bytes_per_s);
  line("transfer_latency_s", profile.transfer_latency_s);
  return yaml;
}

Result<simulation::HardwareProfile> find_hardware_profile(const std::string& name) {
  simulation::HardwareProfile built_in;
  if (name == built_in.name) return built_in;
  LLMD_TRY(const std::string text, read_file(name, kFileBytesMax));
  return parse_hardware_profile(text, name);
}

}  // namespace llmd::config
