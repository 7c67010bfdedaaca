#include "engine/llama/context_set.h"

#include <utility>

#include "telemetry/log.h"

namespace llmd::engine {

ContextSet::ContextSet(std::shared_ptr<const llamacpp::Model> model, const llamacpp::ThreadPool& threads,
                       std::vector<llamacpp::ContextOptions> classes)
    : model_{std::move(model)}, threads_{threads}, classes_{std::move(classes)}, contexts_(classes_.size()) {}

Result<std::unique_ptr<ContextSet>> ContextSet::make(std::shared_ptr<const llamacpp::Model> model,
                                                     const llamacpp::ThreadPool& threads,
                                                     std::vector<llamacpp::ContextOptions> classes) {
  std::unique_ptr<ContextSet> contexts{new ContextSet{std::move(model), threads, std::move(classes)}};
  LLMD_TRY_VOID(contexts->ensure(0));
  return contexts;
}

Result<void> ContextSet::ensure(std::uint32_t slot_class) {
  if (contexts_[slot_class]) return {};
  const llamacpp::ContextOptions& options = classes_[slot_class];
  LLMD_TRY(auto context, llamacpp::Context::make(model_, threads_, options));
  if (slot_class > 0 && context->kv_signature() != first().kv_signature()) {
    return fail(ErrorCode::kInternal, "two contexts of one model lay their KV out differently");
  }
  log::debug("slots: {} of {} tokens, KV {} MiB, compute {} MiB", options.slots, options.slot_tokens,
             context->kv_bytes() >> 20U, context->compute_bytes() >> 20U);
  contexts_[slot_class] = std::move(context);
  return {};
}

void ContextSet::clear(batching::Slot slot) {
  if (contexts_[slot.slot_class]) contexts_[slot.slot_class]->clear(slot.index);
}

void ContextSet::clear_all() {
  for (const auto& context : contexts_) {
    if (context) context->clear_all();
  }
}

}  // namespace llmd::engine
