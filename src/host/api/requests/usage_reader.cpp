#include "api/requests/usage_reader.h"

#include <algorithm>

#include "api/requests/grpc_frame.h"
#include "base/protobuf_wire.h"

namespace llmd::api {
namespace {

using openai::PartialUsage;

std::optional<std::uint32_t> known(std::uint64_t count) {
  return count == 0 ? std::nullopt
                    : std::optional{static_cast<std::uint32_t>(std::min<std::uint64_t>(count, 0xffffffff))};
}

/// Counts of a message whose fields `prompt`, `prompt + 1` and `prompt + 2` are the prompt's, the completion's and the
/// cached tokens. A count of zero is as good as none.
PartialUsage counts_in(std::string_view message, std::uint32_t prompt) {
  PartialUsage usage;
  WireReader reader{message};
  WireReader::Field field;
  while (reader.next(field)) {
    if (field.type != WireReader::Type::kVarint) continue;
    if (field.number == prompt) usage.prompt_tokens = known(field.value);
    if (field.number == prompt + 1) usage.completion_tokens = known(field.value);
    if (field.number == prompt + 2) usage.cached_tokens = known(field.value);
  }
  return usage;
}

/// vllm.grpc.engine, vllm_engine.proto of smg-grpc-proto 0.4.28: GenerateResponse {chunk = 1 {prompt_tokens = 2,
/// completion_tokens = 3, cached_tokens = 4}, complete = 2 {the same from 3}}.
PartialUsage counts_of_generate(std::string_view message) {
  PartialUsage usage;
  WireReader reader{message};
  WireReader::Field field;
  while (reader.next(field)) {
    if (field.type != WireReader::Type::kBytes) continue;
    if (field.number == 1) usage.take(counts_in(field.bytes, 2));
    if (field.number == 2) usage.take(counts_in(field.bytes, 3));
  }
  return usage;
}

/// EmbedResponse {prompt_tokens = 2}; what follows is no count.
PartialUsage counts_of_embed(std::string_view message) {
  return {.prompt_tokens = counts_in(message, 2).prompt_tokens,
          .cached_tokens = {},
          .completion_tokens = {},
          .total_tokens = {}};
}

/// google.api.HttpBody {data = 2}.
std::string_view http_body_data(std::string_view message) {
  std::string_view data;
  WireReader reader{message};
  WireReader::Field field;
  while (reader.next(field)) {
    if (field.number == 2 && field.type == WireReader::Type::kBytes) data = field.bytes;
  }
  return data;
}

}  // namespace

void UsageReader::read(std::string_view chunk) {
  if (form_ == AnswerForm::kText) {
    read_text(chunk);
  } else if (form_ != AnswerForm::kUnknown) {
    read_frames(chunk);
  }
}

void UsageReader::read_text(std::string_view chunk) {
  std::string& kept = form_ == AnswerForm::kText ? kept_ : text_;
  if (!kept.empty()) {
    // What was cut ends within so much, or is none.
    kept += chunk;
    // An object ends with a brace: without one there is nothing new to find.
    const bool may_end = chunk.find('}') != std::string_view::npos || kept.size() > openai::kUsageBytesMax;
    if (!may_end && kept.find('{') != std::string::npos) return;
    const std::size_t cut = openai::read_usage(kept, usage_);
    kept.erase(0, cut);
    return;
  }
  kept = chunk.substr(openai::read_usage(chunk, usage_));
}

void UsageReader::read_frames(std::string_view chunk) {
  while (!chunk.empty()) {
    if (skipped_bytes_ > 0) {
      const auto skipped = std::min<std::uint64_t>(skipped_bytes_, chunk.size());
      chunk.remove_prefix(static_cast<std::size_t>(skipped));
      skipped_bytes_ -= skipped;
      continue;
    }
    if (kept_.empty() && chunk.size() >= kFrameHeadBytes) {
      const FrameHead head = read_frame_head(chunk);
      if (chunk.size() - kFrameHeadBytes >= head.bytes) {
        if (!head.compressed) take_frame(chunk.substr(kFrameHeadBytes, head.bytes));
        chunk.remove_prefix(kFrameHeadBytes + head.bytes);
        continue;
      }
    }
    // A frame that comes in pieces: first its head, then so much as that says.
    const std::size_t wanted =
        kept_.size() < kFrameHeadBytes ? kFrameHeadBytes : kFrameHeadBytes + read_frame_head(kept_).bytes;
    const std::size_t taken = std::min(wanted - kept_.size(), chunk.size());
    kept_ += chunk.substr(0, taken);
    chunk.remove_prefix(taken);
    if (kept_.size() < kFrameHeadBytes) continue;
    const FrameHead head = read_frame_head(kept_);
    if (head.bytes > kFrameBytesMax) {
      skipped_bytes_ = head.bytes - (kept_.size() - kFrameHeadBytes);
      kept_.clear();
    } else if (kept_.size() == kFrameHeadBytes + head.bytes) {
      if (!head.compressed) take_frame(std::string_view{kept_}.substr(kFrameHeadBytes));
      kept_.clear();
    }
  }
}

void UsageReader::take_frame(std::string_view message) {
  if (form_ == AnswerForm::kGenerateFrames) usage_.take(counts_of_generate(message));
  if (form_ == AnswerForm::kEmbedFrames) usage_.take(counts_of_embed(message));
  if (form_ == AnswerForm::kHttpBodyFrames) read_text(http_body_data(message));
}

std::optional<openai::AnswerUsage> find_usage(AnswerForm form, std::string_view answer) {
  if (form == AnswerForm::kText) return openai::find_usage(answer);
  UsageReader reader{form};
  reader.read(answer);
  return reader.usage();
}

}  // namespace llmd::api
