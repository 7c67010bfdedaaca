#include "engine/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/mebibytes.h"
#include "engine/llama/slot_plan.h"

namespace llmd::engine {
namespace {

constexpr std::uint64_t kStoreBytesMin = 16 * kMiB;  // a smaller one would only churn
constexpr std::uint64_t kCopiesShare = 4;            // copies take at most this part of the memory: KV is worth more

std::uint64_t minus(std::uint64_t bytes, std::uint64_t taken) { return bytes - std::min(bytes, taken); }

std::uint32_t round_up(std::uint32_t value, std::uint32_t grain) { return (value + grain - 1) / grain * grain; }

/// One plan in the making.
class Planner {
 public:
  Planner(const llamacpp::ModelFacts& model, const MemoryRequest& request, const MemoryShare& share, Weights weights)
      : model_{model}, request_{request}, share_{share}, engines_{std::max(1U, share.engines)} {
    plan_.weights = weights;
    switch (weights) {
      case Weights::kMapped: plan_.need.shared_weights = model_.weights_bytes; break;
      case Weights::kCopied: plan_.need.own_weights = model_.weights_bytes; break;
      case Weights::kPacked:
        plan_.need.shared_weights = model_.mapped_bytes;
        plan_.need.own_weights = model_.packed_bytes;
        break;
    }
    each_ = minus(share_.available, plan_.need.shared_weights) / engines_;
    plan_.context_tokens = request_.context_tokens == 0 ? trained() : request_.context_tokens;
  }

  Result<MemoryPlan> make() {
    LLMD_TRY_VOID(check_context());
    if (model_.generates) LLMD_TRY_VOID(add_generation());
    if (plan_.need.own() > each_) return refuse();
    return std::move(plan_);
  }

 private:
  [[nodiscard]] std::uint32_t trained() const { return std::max(1U, model_.context_tokens); }

  /// What the model was trained for is the limit, unless the operator says otherwise.
  [[nodiscard]] Result<void> check_context() const {
    if (plan_.context_tokens <= trained() || request_.allow_long_context) return {};
    return fail(
        ErrorCode::kConfigInvalid,
        fmt::format("a context of {} tokens is asked for; the model was trained for {}", plan_.context_tokens,
                    trained()),
        fmt::format("give --context {} or less, or --allow-long-context if answers beyond may be nonsense", trained()));
  }

  [[nodiscard]] std::uint32_t slot_context() const { return round_up(plan_.context_tokens, kSlotGrain); }
  [[nodiscard]] std::uint64_t least_kv() const { return slot_bytes(model_, slot_context()); }

  /// A quarter of the memory is for KV, more only for one whole sequence; beside heavy weights no more than half of
  /// what they leave.
  std::uint64_t choose_kv() {
    const std::uint64_t wanted = kv_bytes_wanted(model_, slot_context());
    const std::uint64_t most = std::min(share_.available / 4 / engines_, minus(each_, plan_.need.own_weights) / 2);
    plan_.shrunk = wanted > most;
    return std::max(least_kv(), std::min(wanted, most));
  }

  /// Some of what is left stays free: the gateway and the other processes of the machine live on it.
  std::uint64_t choose_store() {
    const std::uint64_t most = minus(each_, plan_.need.own()) / 4 * 3;
    if (most >= kStoreBytesDefault) return kStoreBytesDefault;
    plan_.shrunk = true;
    return most < kStoreBytesMin ? 0 : most / kMiB * kMiB;
  }

  Result<void> add_generation() {
    plan_.kv_bytes = request_.kv_bytes == 0 ? choose_kv() : request_.kv_bytes;
    LLMD_TRY(plan_.classes, plan_slots(model_, {.kv_bytes = plan_.kv_bytes,
                                                .context_tokens = slot_context(),
                                                .sequences_max = request_.sequences_max}));
    plan_.need.kv = kv_bytes_of(model_, plan_.classes);
    for (const batching::SlotClass& slot_class : plan_.classes) {
      plan_.need.compute += compute_bytes_of(model_, slot_class);
    }
    if (model_.plain_kv) plan_.need.store = request_.store_bytes ? *request_.store_bytes : choose_store();
    return {};
  }

  /// The flag that brings the need down by what is missing, with the value that does.
  [[nodiscard]] std::string hint() const {
    const std::uint64_t missing = plan_.need.own() - each_;
    const MemoryNeed& need = plan_.need;
    if (need.store >= missing) return fmt::format("lower --store-memory to {}MiB", (need.store - missing) / kMiB);
    const std::uint64_t spare_kv = request_.kv_bytes > 0 ? minus(need.kv, least_kv()) : 0;
    if (spare_kv >= missing) return fmt::format("lower --kv-memory to {}MiB", (need.kv - missing) / kMiB);
    if (spare_kv > 0 && least_own() <= each_) {
      return need.store > 0 ? "lower --kv-memory and --store-memory" : "lower --kv-memory";
    }
    if (plan_.weights == Weights::kPacked && Planner{model_, request_, share_, Weights::kMapped}.make()) {
      return "give --weights mapped";
    }
    if (const std::uint64_t fit = engines_that_fit(); fit > 0 && engines_ > 1) {
      return fmt::format("start fewer workers ({} would fit){}", fit, model_.generates ? ", or lower --context" : "");
    }
    return model_.generates ? "lower --context, or take a smaller model" : "take a smaller model";
  }

  /// With the least KV and no store.
  [[nodiscard]] std::uint64_t least_own() const {
    if (!model_.generates) return plan_.need.own_weights;
    return plan_.need.own_weights + least_kv() + compute_bytes_of(model_, {.slots = 1, .tokens_max = slot_context()});
  }
  [[nodiscard]] std::uint64_t engines_that_fit() const {
    return minus(share_.available, plan_.need.shared_weights) / std::max<std::uint64_t>(1, least_own());
  }

  [[nodiscard]] std::unexpected<Error> refuse() const {
    const MemoryNeed& need = plan_.need;
    if (engines_ == 1) {
      return fail(ErrorCode::kOutOfMemory,
                  fmt::format("the model needs {} ({}), but only {} are available",
                              in_mebibytes(need.shared_weights + need.own()), describe(need),
                              in_whole_mebibytes(share_.available)),
                  hint());
    }
    return fail(ErrorCode::kOutOfMemory,
                fmt::format("{} workers need {} ({}; {}), but only {} are available", engines_,
                            in_mebibytes(need.shared_weights + need.own() * engines_), describe(need),
                            whose_weights(need), in_whole_mebibytes(share_.available)),
                hint());
  }

  [[nodiscard]] static std::string whose_weights(const MemoryNeed& need) {
    if (need.own_weights == 0) return "each, but the weights once";
    if (need.shared_weights == 0) return "each";
    return fmt::format("each, but {} of the weights once", in_mebibytes(need.shared_weights));
  }

  const llamacpp::ModelFacts& model_;
  const MemoryRequest& request_;
  const MemoryShare& share_;
  const std::uint32_t engines_;
  std::uint64_t each_ = 0;  // for what each engine has of its own
  MemoryPlan plan_;
};

}  // namespace

std::optional<Weights> weights_of(std::string_view numerics, std::string_view weights) {
  if (numerics == "fast") return Weights::kCopied;
  if (weights == "auto") return std::nullopt;
  return weights == "packed" ? Weights::kPacked : Weights::kMapped;
}

Result<MemoryPlan> plan_memory(const llamacpp::ModelFacts& model, const MemoryRequest& request,
                               const MemoryShare& share) {
  if (request.weights) return Planner{model, request, share, *request.weights}.make();
  const std::uint64_t copies = model.packed_bytes * (std::max(1U, share.engines) - 1);
  if (copies <= share.available / kCopiesShare) {
    Result<MemoryPlan> packed = Planner{model, request, share, Weights::kPacked}.make();
    if (packed) return packed;
  }
  return Planner{model, request, share, Weights::kMapped}.make();
}

std::string describe(const MemoryNeed& need) {
  return fmt::format("weights {}, KV {}, compute {}, block store {}",
                     in_mebibytes(need.shared_weights + need.own_weights), in_mebibytes(need.kv),
                     in_mebibytes(need.compute), in_mebibytes(need.store));
}

}  // namespace llmd::engine
