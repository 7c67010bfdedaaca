#include "api/openai/first_choice.h"

#include <simdjson.h>

#include <array>
#include <charconv>
#include <string_view>

#include "api/openai/body_edits.h"

namespace llmd::openai {
namespace {

namespace od = simdjson::ondemand;

bool is_empty(std::string_view raw) { return raw == "null" || raw == "[]" || raw == "\"\"" || raw == "{}"; }

/// The first element of an array as it stands; empty if there is none.
Result<std::string> first_element(std::string_view raw_array) {
  const simdjson::padded_string padded{raw_array};
  od::parser parser;
  od::document document;
  od::array array;
  if (parser.iterate(padded).get(document) || document.get_array().get(array)) return std::string{};
  for (auto item : array) {
    od::value value;
    od::object object;
    std::string_view raw;
    if (std::move(item).get(value) || value.get_object().get(object)) return std::string{};
    if (object.raw_json().get(raw)) return fail(ErrorCode::kInvalidJson, "a choice of the answer is not valid JSON");
    return std::string{raw};
  }
  return std::string{};
}

std::optional<std::uint32_t> number(std::string_view raw) {
  std::uint32_t value = 0;
  const auto [end, status] = std::from_chars(raw.data(), raw.data() + raw.size(), value);
  if (status != std::errc{} || end != raw.data() + raw.size()) return std::nullopt;
  return value;
}

/// Of message or delta.
Result<void> read_message(std::string_view raw, FirstChoice& choice) {
  if (!raw.starts_with('{')) return {};
  static constexpr std::array<std::string_view, 6> kOther{"reasoning_content", "reasoning", "tool_calls",
                                                          "function_call",     "refusal",   "audio"};
  std::string json{raw};
  LLMD_TRY(const std::vector<RawMember> members, raw_members(json));
  for (const RawMember& member : members) {
    if (member.key == "content") {
      if (auto text = unquoted(member.value)) {
        choice.text = *std::move(text);
      } else if (!is_empty(member.value)) {
        choice.has_other_output = true;
      }
    }
    for (const std::string_view other : kOther) {
      if (member.key == other && !is_empty(member.value)) choice.has_other_output = true;
    }
  }
  return {};
}

Result<void> read_choice(FirstChoice& choice) {
  std::string json = choice.raw;
  LLMD_TRY(const std::vector<RawMember> members, raw_members(json));
  for (const RawMember& member : members) {
    if (member.key == "finish_reason") choice.finish_reason = unquoted(member.value).value_or("");
    if (member.key == "text") choice.text = unquoted(member.value).value_or("");
    if (member.key == "logprobs" && !is_empty(member.value)) choice.has_other_output = true;
    if (member.key == "message" || member.key == "delta") LLMD_TRY_VOID(read_message(member.value, choice));
  }
  return {};
}

}  // namespace

std::optional<std::string> unquoted(std::string_view raw_json) {
  if (raw_json.size() < 2 || raw_json.front() != '"' || raw_json.back() != '"') return std::nullopt;
  const simdjson::padded_string padded{raw_json};
  od::parser parser;
  od::document document;
  std::string_view text;
  if (parser.iterate(padded).get(document) || document.get_string().get(text)) return std::nullopt;
  return std::string{text};
}

Result<FirstChoice> read_first_choice(std::string& json) {
  FirstChoice choice;
  LLMD_TRY(const std::vector<RawMember> members, raw_members(json));
  for (const RawMember& member : members) {
    if (member.key == "usage" && member.value.starts_with('{')) {
      std::string usage{member.value};
      LLMD_TRY(const std::vector<RawMember> counts, raw_members(usage));
      for (const RawMember& count : counts) {
        if (count.key == "prompt_tokens") choice.prompt_tokens = number(count.value);
        if (count.key == "completion_tokens") choice.completion_tokens = number(count.value);
        if (count.key == "prompt_tokens_details" && count.value.starts_with('{'))
          choice.raw_prompt_details = count.value;
      }
    }
    if (member.key != "choices" || !member.value.starts_with('[')) continue;
    LLMD_TRY(choice.raw, first_element(member.value));
    choice.present = !choice.raw.empty();
    if (choice.present) LLMD_TRY_VOID(read_choice(choice));
  }
  return choice;
}

}  // namespace llmd::openai
