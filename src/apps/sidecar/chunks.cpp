#include "apps/sidecar/chunks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "api/openai/body_edits.h"
#include "api/openai/json_writer.h"

namespace llmd::sidecar {
namespace {

constexpr std::uint32_t kPiecesMax = 100'000;

std::optional<std::uint32_t> number(std::string_view raw) {
  std::uint32_t value = 0;
  const auto [end, status] = std::from_chars(raw.data(), raw.data() + raw.size(), value);
  if (status != std::errc{} || end != raw.data() + raw.size()) return std::nullopt;
  return value;
}

bool says_nothing(std::string_view raw) { return raw == "null" || raw == "[]" || raw == "{}" || raw == "false"; }

/// Fields that make an answer more than text, or text that a second request would not continue in the same way.
bool needs_whole(std::string_view key, std::string_view raw) {
  static constexpr std::array<std::string_view, 12> kFields{"tools",
                                                            "functions",
                                                            "logprobs",
                                                            "response_format",
                                                            "guided_json",
                                                            "guided_regex",
                                                            "guided_choice",
                                                            "guided_grammar",
                                                            "structured_outputs",
                                                            "continue_final_message",
                                                            "add_generation_prompt",
                                                            "modalities"};
  if (key == "n") return raw != "1" && raw != "null";
  if (key == "add_generation_prompt") return raw == "false";
  return std::ranges::find(kFields, key) != kFields.end() && !says_nothing(raw);
}

std::string quoted(std::string_view text) {
  std::string out;
  openai::append_json_string(out, text);
  return out;
}

}  // namespace

Result<std::optional<ChunkPlan>> plan_chunks(std::string& body, std::uint32_t chunk_tokens) {
  LLMD_TRY(const std::vector<openai::RawMember> members, openai::raw_members(body));
  ChunkPlan plan{.chunk_tokens = chunk_tokens};
  std::optional<std::uint32_t> completion_max;
  bool has_messages = false;
  for (const openai::RawMember& member : members) {
    if (needs_whole(member.key, member.value)) return std::nullopt;
    if (member.key == "max_completion_tokens") completion_max = number(member.value);
    if (member.key == "max_tokens") plan.tokens_max = number(member.value);
    if (member.key == "min_tokens") plan.tokens_min = number(member.value);
    if (member.key == "stream") plan.streams = member.value == "true";
    if (member.key == "messages") has_messages = member.value.starts_with('[');
  }
  if (completion_max.value_or(0) > 0) plan.tokens_max = completion_max;
  if (plan.tokens_max == 0U) plan.tokens_max.reset();
  if (!has_messages || (plan.tokens_max && *plan.tokens_max <= chunk_tokens)) return std::nullopt;
  return plan;
}

std::uint32_t ChunkedAnswer::budget() const noexcept {
  if (!plan_.tokens_max) return plan_.chunk_tokens;
  return std::min(plan_.chunk_tokens, *plan_.tokens_max - std::min(*plan_.tokens_max, tokens_));
}

Result<std::string> ChunkedAnswer::next_request() const {
  const std::string tokens = std::to_string(budget());
  pd::FieldEdits edits{pd::set_field("max_tokens", tokens), pd::set_field("max_completion_tokens", tokens),
                       pd::set_field("stream", "false"), pd::remove_field("stream_options")};
  if (plan_.tokens_min) {
    const std::uint32_t left = *plan_.tokens_min - std::min(*plan_.tokens_min, tokens_);
    edits.push_back(pd::set_field("min_tokens", std::to_string(std::min(left, budget()))));
  }
  if (pieces_ == 0) return openai::edited(body_, edits);
  std::string copy{body_};
  LLMD_TRY(const std::optional<std::string_view> messages, openai::raw_member(copy, "messages"));
  std::string all{messages.value_or("[]")};
  all.pop_back();
  const bool has_some = all.find('{') != std::string::npos;
  all += fmt::format(R"({}{{"role":"assistant","content":{}}}])", has_some ? "," : "", quoted(text_));
  edits.push_back({.path = "messages", .raw_json = std::move(all)});
  edits.push_back(pd::remove_field(pd::kTransferField));  // the KV that it names has been taken
  edits.push_back(pd::set_field("continue_final_message", "true"));
  edits.push_back(pd::set_field("add_generation_prompt", "false"));
  return openai::apply_edits(copy, edits);
}

Result<void> ChunkedAnswer::take(std::string answer) {
  LLMD_TRY(openai::FirstChoice choice, openai::read_first_choice(answer));
  if (!choice.present) return fail(ErrorCode::kProtocol, "the engine's answer has no choices");
  if (choice.has_other_output && pieces_ == 0)
    return fail(ErrorCode::kUnsupported, "the answer holds more than text, which cannot be continued");
  if (pieces_ == 0) {
    prompt_tokens_ = choice.prompt_tokens.value_or(0);
    if (raw_prompt_details_.empty()) raw_prompt_details_ = choice.raw_prompt_details;
    LLMD_TRY(const std::optional<std::string_view> id, openai::raw_member(answer, "id"));
    id_ = id.value_or(std::string_view{});
  }
  // An engine that does not count must not make the answer longer than asked for.
  const bool is_empty = choice.text.empty() && choice.completion_tokens.value_or(0) == 0;
  const std::uint32_t came = choice.completion_tokens.value_or(budget());
  ++pieces_;
  tokens_ += came;
  text_ += choice.text;
  const bool goes_on = choice.finish_reason.empty() || choice.finish_reason == "length";
  complete_ = !goes_on || is_empty || (plan_.tokens_max && tokens_ >= *plan_.tokens_max) || pieces_ == kPiecesMax;
  answer_ = std::move(answer);
  choice_ = std::move(choice);
  return {};
}

bool ChunkedAnswer::end_by_length() {
  if (pieces_ == 0 || plan_.tokens_max) return false;
  ++pieces_;
  choice_.text.clear();
  choice_.finish_reason = "length";
  complete_ = true;
  return true;
}

std::string ChunkedAnswer::usage() const {
  const std::string details =
      raw_prompt_details_.empty() ? std::string{} : fmt::format(R"(,"prompt_tokens_details":{})", raw_prompt_details_);
  return fmt::format(R"({{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{}{}}})", prompt_tokens_, tokens_,
                     prompt_tokens_ + tokens_, details);
}

Result<std::string> ChunkedAnswer::event() {
  const std::string_view role = pieces_ == 1 ? R"("role":"assistant",)" : "";
  // A piece that another follows has not finished.
  const std::string reason =
      complete_ && !choice_.finish_reason.empty() ? quoted(choice_.finish_reason) : std::string{"null"};
  pd::FieldEdits edits{pd::set_field("object", "\"chat.completion.chunk\""),
                       pd::set_field("choices", fmt::format(R"([{{"index":0,"delta":{{{}"content":{}}},)"
                                                            R"("finish_reason":{}}}])",
                                                            role, quoted(choice_.text), reason)),
                       pd::remove_field("usage"), pd::remove_field(pd::kTransferField)};
  if (!id_.empty()) edits.push_back(pd::set_field("id", id_));
  LLMD_TRY(const std::string json, openai::edited(answer_, edits));
  return fmt::format("data: {}\n\n", json);
}

Result<std::string> ChunkedAnswer::last_events() {
  pd::FieldEdits edits{pd::set_field("object", "\"chat.completion.chunk\""), pd::set_field("choices", "[]"),
                       pd::set_field("usage", usage()), pd::remove_field(pd::kTransferField)};
  if (!id_.empty()) edits.push_back(pd::set_field("id", id_));
  LLMD_TRY(const std::string json, openai::edited(answer_, edits));
  return fmt::format("data: {}\n\ndata: [DONE]\n\n", json);
}

Result<std::string> ChunkedAnswer::whole() {
  const std::string reason = choice_.finish_reason.empty() ? "null" : quoted(choice_.finish_reason);
  LLMD_TRY(const std::string choice, openai::edited(choice_.raw, {pd::set_field("message.content", quoted(text_)),
                                                                  pd::set_field("finish_reason", reason)}));
  pd::FieldEdits edits{{.path = "choices", .raw_json = fmt::format("[{}]", choice)}, pd::set_field("usage", usage())};
  if (!id_.empty()) edits.push_back(pd::set_field("id", id_));
  return openai::edited(answer_, edits);
}

void ChunkedAnswer::set_cached_tokens(std::uint32_t tokens) {
  raw_prompt_details_ = fmt::format(R"({{"cached_tokens":{}}})", tokens);
}

}  // namespace llmd::sidecar
