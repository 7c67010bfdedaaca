#include "apps/sim/endpoint_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "api/openai/model_list_reader.h"
#include "config/hardware_profile.h"
#include "net/fetch.h"

namespace llmd::sim {
namespace {

constexpr std::size_t kPageBytesMax = 4U << 20U;
constexpr std::uint64_t kCountMax = 1ULL << 32U;

/// A whole number that begins the text, but `most` if it is larger; 0 if none does.
std::uint64_t number_of(std::string_view text, std::uint64_t most) {
  std::uint64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status == std::errc::result_out_of_range) return most;
  return status == std::errc{} ? std::min(value, most) : 0;
}

/// The value of a label; empty if there is none.
std::string_view label_of(std::string_view line, std::string_view name) {
  const std::string wanted = fmt::format("{}=\"", name);
  const std::size_t at = line.find(wanted);
  if (at == std::string_view::npos) return {};
  line.remove_prefix(at + wanted.size());
  return line.substr(0, line.find('"'));
}

std::string_view value_of(std::string_view line) {
  const std::size_t space = line.rfind(' ');
  return space == std::string_view::npos ? std::string_view{} : line.substr(space + 1);
}

void read_line(std::string_view line, EndpointFacts& facts) {
  if (line.starts_with("vllm:cache_config_info{")) {
    const std::uint64_t block = number_of(label_of(line, "block_size"), config::kProfileBlockTokensMax);
    const std::uint64_t device = number_of(label_of(line, "num_gpu_blocks"), kCountMax);
    const std::uint64_t host = number_of(label_of(line, "num_cpu_blocks"), kCountMax);
    facts.block_tokens = static_cast<std::uint32_t>(block);
    facts.kv_tokens = device * block;
    facts.store_tokens = (host > 0 ? host : device) * block;  // vLLM's cached blocks lie among the running ones
  } else if (line.starts_with("llmd_worker_slots{") && facts.slots.size() < config::kProfileClassesMax) {
    const std::uint64_t tokens = number_of(label_of(line, "tokens_max"), config::kProfileTokensMax);
    const std::uint64_t slots = number_of(value_of(line), config::kProfileSlotsMax);
    if (tokens > 0 && slots > 0)
      facts.slots.push_back({static_cast<std::uint32_t>(slots), static_cast<std::uint32_t>(tokens)});
  } else if (line.starts_with("llmd_worker_llama_steps{")) {
    facts.llama_steps = value_of(line) == "1";
  } else if (line.starts_with("vllm:iteration_tokens_total_count")) {
    const std::string_view text = value_of(line);
    double steps = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), steps);
    if (status == std::errc{}) facts.steps = steps;
  }
}

}  // namespace

void read_metrics(std::string_view page, EndpointFacts& facts) {
  while (!page.empty()) {
    const std::size_t end = std::min(page.find('\n'), page.size());
    read_line(page.substr(0, end), facts);
    page.remove_prefix(std::min(end + 1, page.size()));
  }
  // As a profile has them: the smallest first, each size once. Of equal sizes the one with the most slots counts.
  std::ranges::sort(facts.slots, [](const batching::SlotClass& a, const batching::SlotClass& b) {
    return a.tokens_max != b.tokens_max ? a.tokens_max < b.tokens_max : a.slots > b.slots;
  });
  const auto again = std::ranges::unique(facts.slots, {}, &batching::SlotClass::tokens_max);
  facts.slots.erase(again.begin(), again.end());
}

Result<EndpointFacts> fetch_facts(const ProbeTarget& target) {
  const net::FetchOptions options{.body_bytes_max = kPageBytesMax, .authorization = target.authorization};
  EndpointFacts facts{.model = target.model};
  LLMD_TRY(const net::Fetched models, net::fetch(target.address, "/v1/models", options));
  if (models.status != 200)
    return fail(ErrorCode::kUpstreamFailed, fmt::format("GET /v1/models was answered {}", models.status));
  LLMD_TRY(const std::vector<openai::ModelCard> cards, openai::read_model_list(models.body));
  for (const openai::ModelCard& card : cards) {
    if (!target.model.empty() && card.id != target.model) continue;
    facts.model = card.id;
    facts.context_tokens = card.context_tokens;
    break;
  }
  if (facts.model.empty()) return fail(ErrorCode::kUpstreamFailed, "the server lists no model");
  const auto page = net::fetch(target.address, "/metrics", options);
  if (page && page->status == 200) read_metrics(page->body, facts);
  return facts;
}

}  // namespace llmd::sim
