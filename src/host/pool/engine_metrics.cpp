#include "pool/engine_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

namespace llmd::pool {

enum class EngineMetricsParser::Field : std::uint8_t {
  kWaiting,
  kRunning,
  kKvUsage,
  kCacheInfo,  // block size and count are labels of one series
  kBlockTokens,
  kBlocks,
  kPromptTokens,
  kGenerationTokens,
  kPrefixQueries,
  kPrefixHits,
  kLora,  // the adapters are labels, and the value is when they were so
  kQueuedTokens,
  kDecodeTokensLeft,
  kCpuUse,
  kMemoryUse,
};

struct EngineMetricsParser::Name {
  std::string_view text;
  Field field;
};

const EngineMetricsParser::Name EngineMetricsParser::kNames[] = {
    {"vllm:num_requests_waiting", Field::kWaiting},
    {"vllm:num_requests_running", Field::kRunning},
    {"vllm:kv_cache_usage_perc", Field::kKvUsage},
    {"vllm:gpu_cache_usage_perc", Field::kKvUsage},  // vLLM before 0.10
    {"vllm:cache_config_info", Field::kCacheInfo},
    {"vllm:prompt_tokens_total", Field::kPromptTokens},
    {"vllm:generation_tokens_total", Field::kGenerationTokens},
    {"vllm:prefix_cache_queries_total", Field::kPrefixQueries},
    {"vllm:prefix_cache_hits_total", Field::kPrefixHits},
    {"vllm:lora_requests_info", Field::kLora},
    {"llmd_worker_waiting_tokens", Field::kQueuedTokens},
    {"llmd_worker_decode_tokens_left", Field::kDecodeTokensLeft},
    {"llmd_worker_cpu_use", Field::kCpuUse},
    {"llmd_worker_memory_use", Field::kMemoryUse},
    {"sglang:num_queue_reqs", Field::kWaiting},
    {"sglang:num_running_reqs", Field::kRunning},
    {"sglang:token_usage", Field::kKvUsage},
    {"sglang:cache_config_info", Field::kCacheInfo},
    {"trtllm_num_requests_waiting", Field::kWaiting},
    {"trtllm_num_requests_running", Field::kRunning},
    {"trtllm_kv_cache_utilization", Field::kKvUsage},
    {"trtllm_kv_cache_tokens_per_block", Field::kBlockTokens},
    {"trtllm_kv_cache_max_blocks", Field::kBlocks},
};

namespace {

constexpr std::int64_t kNoTimestamp = std::numeric_limits<std::int64_t>::min();

/// A count may come as "3", "3.0" or "3e2". No value if it is negative, not finite or too large for T.
template <class T>
std::optional<T> to_count(double value) {
  if (!std::isfinite(value) || value < 0 || value > static_cast<double>(std::numeric_limits<T>::max() / 2))
    return std::nullopt;
  return static_cast<T>(value);
}

std::optional<double> to_number(std::string_view text) {
  double value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [rest, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view skip_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

/// Takes the next blank-separated word off `text`.
std::string_view take_word(std::string_view& text) {
  text = skip_blanks(text);
  const auto word = text.substr(0, text.find_first_of(" \t\r"));
  text.remove_prefix(word.size());
  return word;
}

/// The position behind the '}' that ends a label set, npos if it does not end. Quotes and escapes count.
std::size_t labels_end(std::string_view text) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == '}' && !quoted) {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

/// What label `name` says, escapes as they are; empty if it is not there.
std::string_view label_text(std::string_view labels, std::string_view name) {
  for (std::size_t at = labels.find(name); at != std::string_view::npos; at = labels.find(name, at + 1)) {
    const bool starts = at == 0 || labels[at - 1] == ',' || labels[at - 1] == '{' || labels[at - 1] == ' ';
    std::string_view rest = labels.substr(at + name.size());
    if (!starts || !rest.starts_with("=\"")) continue;
    rest.remove_prefix(2);
    return rest.substr(0, rest.find('"'));
  }
  return {};
}

/// The number in label `name`, e.g. block_size="16".
std::optional<double> label_number(std::string_view labels, std::string_view name) {
  return to_number(label_text(labels, name));
}

constexpr std::size_t kAdaptersMax = 256;  // a state; more are not kept

std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty() && names.size() < kAdaptersMax) {
    const std::string_view name = skip_blanks(text.substr(0, text.find(',')));
    text.remove_prefix(
        std::min(text.size(), text.find(',') == std::string_view::npos ? text.size() : text.find(',') + 1));
    if (!name.empty()) names.emplace_back(name);
  }
  return names;
}

std::optional<float> to_share(double value) {
  return value >= 0 && value <= 1 ? std::optional{static_cast<float>(value)} : std::nullopt;
}

}  // namespace

Result<void> EngineMetricsParser::feed(std::string_view bytes) {
  bytes_ += bytes.size();
  if (bytes_ > kPageBytesMax) {
    return fail(ErrorCode::kBodyTooLarge, fmt::format("/metrics page is longer than {} bytes", kPageBytesMax));
  }
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    if (skipping_ || partial_.size() + piece.size() > kLineBytesMax) {
      skipping_ = end == std::string_view::npos;
      partial_.clear();
    } else if (end == std::string_view::npos) {
      partial_ += piece;
    } else if (partial_.empty()) {
      line(piece);
    } else {
      partial_ += piece;
      line(partial_);
      partial_.clear();
    }
  }
  return {};
}

EngineReadings EngineMetricsParser::finish() {
  if (!skipping_ && !partial_.empty()) line(partial_);
  partial_.clear();
  return readings_;
}

void EngineMetricsParser::line(std::string_view text) {
  text = skip_blanks(text);
  if (text.empty() || text.front() == '#') return;
  const std::size_t name_end = text.find_first_of("{ \t");
  if (name_end == std::string_view::npos) return;
  const std::string_view name = text.substr(0, name_end);
  const Name* known = nullptr;
  for (const Name& candidate : kNames) {
    if (candidate.text == name) known = &candidate;
  }
  if (known == nullptr) return;
  text.remove_prefix(name_end);
  text = skip_blanks(text);
  std::string_view labels;
  if (text.starts_with('{')) {
    const std::size_t end = labels_end(text);
    if (end == std::string_view::npos) return;
    labels = text.substr(0, end);
    text.remove_prefix(end);
  }
  const auto value = to_number(take_word(text));
  if (!value) return;
  const std::string_view stamp_text = take_word(text);
  const auto stamp = to_count<std::int64_t>(to_number(stamp_text).value_or(-1));
  sample(*known, labels, *value, stamp.value_or(kNoTimestamp));
}

bool EngineMetricsParser::newer(std::size_t slot, std::int64_t timestamp) noexcept {
  if (taken_at_[slot] && *taken_at_[slot] >= timestamp) return false;
  taken_at_[slot] = timestamp;
  return true;
}

void EngineMetricsParser::sample(const Name& name, std::string_view labels, double value, std::int64_t timestamp) {
  switch (name.field) {
    case Field::kWaiting:
      if (newer(0, timestamp)) readings_.waiting_requests = to_count<std::uint32_t>(value);
      return;
    case Field::kRunning:
      if (newer(1, timestamp)) readings_.running_requests = to_count<std::uint32_t>(value);
      return;
    case Field::kKvUsage:
      if (value >= 0 && value <= 1 && newer(2, timestamp)) readings_.kv_usage = static_cast<float>(value);
      return;
    case Field::kCacheInfo: {
      if (!newer(3, timestamp)) return;
      const bool vllm = name.text.starts_with("vllm");
      const auto tokens = label_number(labels, vllm ? "block_size" : "page_size");
      const auto blocks = label_number(labels, vllm ? "num_gpu_blocks" : "num_pages");
      if (tokens) readings_.kv_block_tokens = to_count<std::uint32_t>(*tokens);
      if (blocks) readings_.kv_blocks = to_count<std::uint64_t>(*blocks);
      return;
    }
    case Field::kBlockTokens:
      if (newer(3, timestamp)) readings_.kv_block_tokens = to_count<std::uint32_t>(value);
      return;
    case Field::kBlocks:
      if (newer(4, timestamp)) readings_.kv_blocks = to_count<std::uint64_t>(value);
      return;
    // The counters of several engines behind one page (data parallel) add up.
    case Field::kPromptTokens: readings_.prompt_tokens = readings_.prompt_tokens.value_or(0) + value; return;
    case Field::kGenerationTokens:
      readings_.generation_tokens = readings_.generation_tokens.value_or(0) + value;
      return;
    case Field::kPrefixQueries:
      readings_.prefix_query_tokens = readings_.prefix_query_tokens.value_or(0) + value;
      return;
    case Field::kLora: {
      // vLLM leaves old label sets on the page: the one with the latest time is now.
      if (!(value >= 0 && value < 1e15) || !newer(5, static_cast<std::int64_t>(value * 1'000))) return;
      auto lora = std::make_shared<LoraState>();
      lora->running = split_names(label_text(labels, "running_lora_adapters"));
      lora->waiting = split_names(label_text(labels, "waiting_lora_adapters"));
      lora->adapters_max = to_count<std::uint32_t>(label_number(labels, "max_lora").value_or(0)).value_or(0);
      readings_.lora = std::move(lora);
      return;
    }
    case Field::kQueuedTokens: readings_.queued_tokens = static_cast<float>(value); return;
    case Field::kDecodeTokensLeft: readings_.decode_tokens_left = static_cast<float>(value); return;
    case Field::kCpuUse: readings_.cpu_use = to_share(value); return;
    case Field::kMemoryUse: readings_.memory_use = to_share(value); return;
    case Field::kPrefixHits: readings_.prefix_hit_tokens = readings_.prefix_hit_tokens.value_or(0) + value; return;
  }
}

}  // namespace llmd::pool
