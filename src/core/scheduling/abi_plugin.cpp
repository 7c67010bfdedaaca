#include "scheduling/abi_plugin.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduling/header_name.h"

namespace llmd::scheduling {
namespace {

// The table of the first header of version 1: what every library has.
constexpr std::size_t kTableMin = offsetof(llmd_plugin_v1, reason) + sizeof(llmd_plugin_v1::reason);
constexpr std::size_t kTypeMax = 64;
constexpr std::size_t kHeadersMax = 32;
constexpr std::size_t kTextMax = 512;
constexpr std::uint64_t kCallsPerPardon = 1'000;
// Written behind the place for the answers: another value there afterwards tells that the plugin wrote too far.
constexpr auto kScoreGuard = std::bit_cast<float>(0x7fc0a5a5U);
constexpr std::uint8_t kKeepGuard = 0xa5;
constexpr std::uint8_t kKeepUnset = 0xff;

constexpr std::pair<Metric, std::uint32_t> kReads[] = {
    {Metric::kWaiting, LLMD_READS_WAITING},        {Metric::kRunning, LLMD_READS_RUNNING},
    {Metric::kKvUsage, LLMD_READS_KV_USAGE},       {Metric::kPrefixMatch, LLMD_READS_PREFIX_MATCH},
    {Metric::kInflight, LLMD_READS_INFLIGHT},      {Metric::kSignal, LLMD_READS_SIGNALS},
    {Metric::kPrediction, LLMD_READS_PREDICTIONS}, {Metric::kMedia, LLMD_READS_MEDIA},
};

static_assert(offsetof(llmd_plugin_v1, abi_version) == 0, "every version begins with its number");
static_assert(static_cast<std::uint32_t>(Signal::kReadySeconds) == LLMD_SIGNAL_READY_SECONDS &&
                  kSignals == LLMD_SIGNAL_READY_SECONDS + 1,
              "the ABI numbers signals as the model does");
static_assert(static_cast<std::uint32_t>(EndpointHealth::kDown) == LLMD_HEALTH_DOWN);

/// The input of a plugin, with what its callbacks look things up in.
struct HostInput : llmd_input_v1 {
  const PluginInput* input;
};

const PluginInput& input_of(const llmd_input_v1* input) noexcept {
  return *static_cast<const HostInput*>(input)->input;
}

const char* find_header(const llmd_input_v1* input, const char* name) noexcept {
  if (name == nullptr) return nullptr;
  const std::vector<Header>& headers = input_of(input).request.headers;
  const auto found = std::ranges::find(headers, std::string_view{name}, &Header::first);
  return found == headers.end() ? nullptr : found->second.c_str();
}

// Labels are compared one by one: a look-up in the map would make a string.
const char* find_label(const llmd_input_v1* input, std::uint32_t endpoint, const char* name) noexcept {
  const std::span<const EndpointState> endpoints = input_of(input).endpoints;
  if (name == nullptr || endpoint >= endpoints.size()) return nullptr;
  const auto& labels = endpoints[endpoint].endpoint->labels;
  const auto found = std::ranges::find(labels, std::string_view{name},
                                       [](const auto& label) -> std::string_view { return label.first; });
  return found == labels.end() ? nullptr : found->second.c_str();
}

template <class T>
float told(const PluginInput& input, const Reading<T>& reading) noexcept {
  const std::optional<T> value = input.fresh(reading);
  return value ? static_cast<float>(*value) : kNoData;
}

llmd_request_v1 request_facts(const RequestFacts& request) noexcept {
  return {.request_id = request.request_id.c_str(),
          .model = request.model.c_str(),
          .prompt_tokens = request.prompt_tokens,
          .output_tokens_max = request.output_tokens_max,
          .prefix_blocks = static_cast<std::uint32_t>(request.prefix.hashes.size()),
          .prefix_block_tokens = request.prefix.block_tokens,
          .media_items = static_cast<std::uint32_t>(request.media.size()),
          .priority = request.priority,
          .slo_ttft_ms = request.slo_ttft_ms.value_or(kNoData),
          .slo_tpot_ms = request.slo_tpot_ms.value_or(kNoData),
          .prompt_tokens_exact = request.prompt_tokens_exact ? std::uint8_t{1} : std::uint8_t{0},
          .streaming = request.streaming ? std::uint8_t{1} : std::uint8_t{0},
          .reserved = {}};
}

llmd_endpoint_v1 endpoint_facts(const PluginInput& input, EndpointIndex i, std::uint32_t reads) noexcept {
  const EndpointState& state = input.endpoints[i];
  const auto is_read = [reads](std::uint32_t bit) { return (reads & bit) != 0; };
  llmd_endpoint_v1 facts{.name = state.endpoint->name.c_str(),
                         .url = state.endpoint->url.c_str(),
                         .signals = nullptr,
                         .inflight_tokens = 0,
                         .inflight_requests = 0,
                         .matched_blocks = 0,
                         .health = static_cast<std::uint32_t>(state.health),
                         .waiting_requests = kNoData,
                         .running_requests = kNoData,
                         .kv_usage = kNoData,
                         .kv_blocks = kNoData,
                         .kv_block_tokens = kNoData,
                         .predicted_ttft_ms = kNoData,
                         .predicted_tpot_ms = kNoData,
                         .media_matched = kNoData};
  if (is_read(LLMD_READS_WAITING)) facts.waiting_requests = told(input, state.waiting_requests);
  if (is_read(LLMD_READS_RUNNING)) facts.running_requests = told(input, state.running_requests);
  if (is_read(LLMD_READS_KV_USAGE)) {
    facts.kv_usage = told(input, state.kv_usage);
    facts.kv_blocks = told(input, state.kv_blocks);
    facts.kv_block_tokens = told(input, state.kv_block_tokens);
  }
  if (is_read(LLMD_READS_INFLIGHT)) {
    facts.inflight_requests = input.inflight_requests(i);
    facts.inflight_tokens = input.inflight_tokens(i);
  }
  if (is_read(LLMD_READS_PREFIX_MATCH) && !input.matched_blocks.empty()) facts.matched_blocks = input.matched_blocks[i];
  if (is_read(LLMD_READS_PREDICTIONS) && !input.predictions.empty() && input.predictions[i].known) {
    facts.predicted_ttft_ms = input.predictions[i].ttft_ms;
    facts.predicted_tpot_ms = input.predictions[i].tpot_ms;
  }
  if (is_read(LLMD_READS_MEDIA) && !input.media_matched.empty()) facts.media_matched = input.media_matched[i];
  return facts;
}

/// What one call hands over and gets back. One object a thread, so that a call allocates nothing once there were as
/// many endpoints.
class CallScratch {
 public:
  /// The input for the candidates and the peer. Valid until the next call; `input` must live as long.
  const llmd_input_v1* fill(const PluginInput& input, std::span<const EndpointIndex> candidates, std::uint32_t reads) {
    places_.assign(input.endpoints.size(), nullptr);
    facts_.resize(candidates.size() + 1);
    signals_.resize(facts_.size());
    used_ = 0;
    for (const EndpointIndex i : candidates) add(input, i, reads);
    const bool has_peer = input.peer < input.endpoints.size();
    if (has_peer && places_[input.peer] == nullptr) add(input, input.peer, reads);
    request_ = request_facts(input.request);
    static_cast<llmd_input_v1&>(input_) = {.struct_size = sizeof(llmd_input_v1),
                                           .endpoint_size = sizeof(llmd_endpoint_v1),
                                           .request_size = sizeof(llmd_request_v1),
                                           .signals_count = static_cast<std::uint32_t>(kSignals),
                                           .endpoints_count = static_cast<std::uint32_t>(places_.size()),
                                           .peer = has_peer ? input.peer : LLMD_NO_ENDPOINT,
                                           .chance = input.chance,
                                           .request = &request_,
                                           .endpoints = places_.data(),
                                           .header = find_header,
                                           .label = find_label};
    input_.input = &input;
    return &input_;
  }

  std::vector<float> scores;
  std::vector<std::uint8_t> keep;

 private:
  void add(const PluginInput& input, EndpointIndex i, std::uint32_t reads) {
    facts_[used_] = endpoint_facts(input, i, reads);
    const auto& signals = input.endpoints[i].signals;
    if ((reads & LLMD_READS_SIGNALS) != 0 && signals != nullptr) {
      for (std::size_t s = 0; s < kSignals; ++s) signals_[used_][s] = told(input, signals->known[s]);
      facts_[used_].signals = signals_[used_].data();
    }
    places_[i] = &facts_[used_];
    ++used_;
  }

  HostInput input_{};
  llmd_request_v1 request_{};
  std::vector<llmd_endpoint_v1> facts_;  // of the candidates, then the peer
  std::vector<std::array<float, kSignals>> signals_;
  std::vector<const llmd_endpoint_v1*> places_;  // by endpoint
  std::size_t used_ = 0;
};

CallScratch& call_scratch() noexcept {
  thread_local CallScratch scratch;
  return scratch;
}

// A text that a plugin wrote, for one line of a log: what is not printable becomes a blank.
std::string one_line(std::span<const char> buffer) {
  std::string text{buffer.begin(), std::ranges::find(buffer, '\0')};
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
  return text;
}

/// A table with its instance, its budget and what is counted.
class AbiInstance {
 public:
  AbiInstance(const llmd_plugin_v1& table, void* instance, AbiPluginOptions options, const Clock& clock)
      : table_{table}, instance_{instance}, options_{std::move(options)}, clock_{clock} {
    for (std::size_t i = 0; table_.headers_read != nullptr && table_.headers_read[i] != nullptr; ++i)
      headers_.push_back(header_name(table_.headers_read[i]));
  }
  ~AbiInstance() { table_.destroy(instance_); }
  AbiInstance(const AbiInstance&) = delete;
  AbiInstance& operator=(const AbiInstance&) = delete;

  [[nodiscard]] const llmd_plugin_v1& table() const noexcept { return table_; }
  [[nodiscard]] void* instance() const noexcept { return instance_; }
  [[nodiscard]] const std::vector<std::string>& headers() const noexcept { return headers_; }
  [[nodiscard]] const auto& counters() const noexcept { return counters_; }

  /// Whether to call it now; a call that is not made is counted.
  [[nodiscard]] bool may_call() const noexcept {
    if (!counters_->off.load(std::memory_order_relaxed)) return true;
    counters_->skipped.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  template <class Call>
  void timed(Call&& call) const noexcept {
    const TimePoint begin = clock_.now();
    call();
    count_call(clock_.now() - begin);
  }
  void count_fault() const noexcept { counters_->faults.fetch_add(1, std::memory_order_relaxed); }
  void switch_off() const noexcept { counters_->off.store(true, std::memory_order_relaxed); }

 private:
  void count_call(Duration took) const noexcept {
    const std::uint64_t calls = counters_->calls.fetch_add(1, std::memory_order_relaxed) + 1;
    if (took > options_.budget) {
      counters_->overruns.fetch_add(1, std::memory_order_relaxed);
      const std::uint32_t strikes = strikes_.fetch_add(1, std::memory_order_relaxed) + 1;
      if (options_.overruns_max != 0 && strikes >= options_.overruns_max) switch_off();
    }
    if (calls % kCallsPerPardon != 0) return;
    // Two threads may be here at once: one that loses the race gives up its pardon, so the number never wraps.
    std::uint32_t strikes = strikes_.load(std::memory_order_relaxed);
    if (strikes > 0) strikes_.compare_exchange_strong(strikes, strikes - 1, std::memory_order_relaxed);
  }

  llmd_plugin_v1 table_;
  void* instance_;
  AbiPluginOptions options_;
  const Clock& clock_;
  std::vector<std::string> headers_;
  std::shared_ptr<AbiPluginCounters> counters_ = std::make_shared<AbiPluginCounters>();
  mutable std::atomic<std::uint32_t> strikes_{0};  // overruns that are not pardoned
};

class AbiScorer final : public Scorer {
 public:
  explicit AbiScorer(std::unique_ptr<const AbiInstance> plugin) noexcept : plugin_{std::move(plugin)} {}

  [[nodiscard]] MetricSet consumes() const noexcept override {
    MetricSet metrics;
    for (const auto& [metric, bit] : kReads) {
      if ((plugin_->table().reads & bit) != 0) metrics = metrics | metric;
    }
    return metrics;
  }
  void headers_read(std::vector<std::string>& names) const override {
    names.insert(names.end(), plugin_->headers().begin(), plugin_->headers().end());
  }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override {
    std::ranges::fill(scores, kNoData);
    if (candidates.empty() || !plugin_->may_call()) return;
    CallScratch& scratch = call_scratch();
    const llmd_input_v1* handed = scratch.fill(input, candidates, plugin_->table().reads);
    scratch.scores.assign(candidates.size() + 1, kNoData);
    scratch.scores.back() = kScoreGuard;
    plugin_->timed([&] {
      plugin_->table().score(plugin_->instance(), handed, candidates.data(), candidates.size(), scratch.scores.data());
    });
    take(scratch.scores, scores);
  }

 private:
  void take(std::span<const float> answer, std::span<float> scores) const noexcept {
    if (std::bit_cast<std::uint32_t>(answer.back()) != std::bit_cast<std::uint32_t>(kScoreGuard)) {
      plugin_->count_fault();
      plugin_->switch_off();
      return;
    }
    bool fault = false;
    for (std::size_t c = 0; c < scores.size(); ++c) {
      fault = fault || std::isinf(answer[c]);
      scores[c] = std::isfinite(answer[c]) ? answer[c] : kNoData;
    }
    if (fault) plugin_->count_fault();
  }

  std::unique_ptr<const AbiInstance> plugin_;
};

class AbiFilter final : public Filter {
 public:
  explicit AbiFilter(std::unique_ptr<const AbiInstance> plugin) noexcept : plugin_{std::move(plugin)} {}

  void headers_read(std::vector<std::string>& names) const override {
    names.insert(names.end(), plugin_->headers().begin(), plugin_->headers().end());
  }
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override {
    if (candidates.empty() || !plugin_->may_call()) return candidates.size();
    CallScratch& scratch = call_scratch();
    const llmd_input_v1* handed = scratch.fill(input, candidates, plugin_->table().reads);
    scratch.keep.assign(candidates.size() + 1, kKeepUnset);
    scratch.keep.back() = kKeepGuard;
    plugin_->timed([&] {
      plugin_->table().filter(plugin_->instance(), handed, candidates.data(), candidates.size(), scratch.keep.data());
    });
    if (!is_valid(scratch.keep)) return candidates.size();
    std::size_t kept = 0;
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      if (scratch.keep[c] != 0) candidates[kept++] = candidates[c];
    }
    return kept;
  }
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override {
    std::array<char, kTextMax> text{};
    if (plugin_->table().reason != nullptr) {
      const EndpointIndex candidates[] = {endpoint};
      const llmd_input_v1* handed = call_scratch().fill(input, candidates, plugin_->table().reads);
      plugin_->table().reason(plugin_->instance(), handed, endpoint, text.data(), text.size());
    }
    const std::string said = one_line(text);
    return said.empty() ? fmt::format("{} does not say why", plugin_->table().type) : said;
  }

 private:
  [[nodiscard]] bool is_valid(std::span<const std::uint8_t> keep) const noexcept {
    const bool inside = keep.back() == kKeepGuard;
    const bool valid =
        inside && std::ranges::all_of(keep.first(keep.size() - 1), [](std::uint8_t k) { return k <= 1; });
    if (!valid) plugin_->count_fault();
    if (!inside) plugin_->switch_off();
    return valid;
  }

  std::unique_ptr<const AbiInstance> plugin_;
};

std::unexpected<Error> bad_table(std::string what) {
  return fail(ErrorCode::kConfigInvalid, fmt::format("plugin library: {}", what),
              "build it against llmd_plugin_v1.h of this version");
}

bool is_type_name(std::string_view type) {
  return !type.empty() && type.size() <= kTypeMax &&
         std::ranges::all_of(type, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

// Empty if it is longer than `length_max`.
std::string_view bounded_text(const char* text, std::size_t length_max) {
  if (text == nullptr) return {};
  const void* end = std::memchr(text, '\0', length_max + 1);
  return end == nullptr ? std::string_view{} : std::string_view{text};
}

Result<void> check_functions(const llmd_plugin_v1& table) {
  if (table.kind != LLMD_PLUGIN_SCORER && table.kind != LLMD_PLUGIN_FILTER)
    return bad_table(fmt::format("{} is of kind {}; expected 1 (scorer) or 2 (filter)", table.type, table.kind));
  if (table.create == nullptr || table.destroy == nullptr)
    return bad_table(fmt::format("{} has no create or no destroy", table.type));
  if (table.kind == LLMD_PLUGIN_SCORER && table.score == nullptr)
    return bad_table(fmt::format("{} is a scorer without score", table.type));
  if (table.kind == LLMD_PLUGIN_FILTER && table.filter == nullptr)
    return bad_table(fmt::format("{} is a filter without filter", table.type));
  return {};
}

Result<void> check_reads(const llmd_plugin_v1& table) {
  std::uint32_t known = 0;
  for (const auto& [metric, bit] : kReads) known |= bit;
  if ((table.reads & ~known) != 0)
    return bad_table(fmt::format("{} reads {:#x}, which is not known here", table.type, table.reads & ~known));
  std::size_t headers = 0;
  while (table.headers_read != nullptr && headers <= kHeadersMax && table.headers_read[headers] != nullptr) ++headers;
  if (headers > kHeadersMax) return bad_table(fmt::format("{} reads more than {} headers", table.type, kHeadersMax));
  return {};
}

// The table as far as it reaches: what a library of an older header does not have is null.
Result<llmd_plugin_v1> checked_table(const llmd_plugin_v1* given) {
  if (given == nullptr) return bad_table("llmd_plugin_entry returns no table");
  if (given->abi_version != LLMD_PLUGIN_ABI_VERSION) {
    return bad_table(fmt::format("its ABI has version {}; expected {}", given->abi_version, LLMD_PLUGIN_ABI_VERSION));
  }
  if (given->struct_size < kTableMin) {
    return bad_table(fmt::format("its table has {} bytes; expected at least {}", given->struct_size, kTableMin));
  }
  llmd_plugin_v1 table{};
  std::memcpy(&table, given, std::min<std::size_t>(given->struct_size, sizeof(table)));
  const std::string_view type = bounded_text(table.type, kTypeMax);
  if (!is_type_name(type)) return bad_table("its type is not 1 to 64 of a-z, 0-9 and '-'");
  if (find_plugin_spec(type) != nullptr) return bad_table(fmt::format("{} is a type of llmd's own", type));
  LLMD_TRY_VOID(check_functions(table));
  LLMD_TRY_VOID(check_reads(table));
  return table;
}

}  // namespace

Result<AbiPlugin> make_abi_plugin(const llmd_plugin_v1* table, AbiPluginOptions options, const Clock& clock) {
  LLMD_TRY(const llmd_plugin_v1 checked, checked_table(table));
  std::array<char, kTextMax> error{};
  void* instance = checked.create(options.parameters_json.c_str(), error.data(), error.size());
  if (instance == nullptr) {
    const std::string said = one_line(error);
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("{}: {}", checked.type, said.empty() ? "it refuses the parameters" : said),
                "the plugin's own documentation says what it takes");
  }
  auto plugin = std::make_unique<const AbiInstance>(checked, instance, std::move(options), clock);
  AbiPlugin made{.type = checked.type, .objects = {}, .counters = plugin->counters()};
  if (checked.kind == LLMD_PLUGIN_SCORER) {
    made.objects.add(std::make_unique<const AbiScorer>(std::move(plugin)));
  } else {
    made.objects.add(std::make_unique<const AbiFilter>(std::move(plugin)));
  }
  return made;
}

}  // namespace llmd::scheduling
