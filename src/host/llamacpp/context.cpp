#include "llamacpp/context.h"

#include <fmt/format.h>
#include <llama-ext.h>
#include <llama.h>

#include <algorithm>
#include <exception>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "llamacpp/backend.h"
#include "llamacpp/kv_copy.h"
#include "llamacpp/kv_layout.h"
#include "llamacpp/model_facts.h"
#include "llamacpp/stream_map.h"
#include "telemetry/log.h"

namespace llmd::llamacpp {
namespace {

struct FreeContext {
  void operator()(llama_context* context) const noexcept { llama_free(context); }
};

enum llama_pooling_type to_llama(Pooling pooling) {
  switch (pooling) {
    case Pooling::kModel: return LLAMA_POOLING_TYPE_UNSPECIFIED;
    case Pooling::kMean: return LLAMA_POOLING_TYPE_MEAN;
    case Pooling::kCls: return LLAMA_POOLING_TYPE_CLS;
    case Pooling::kLast: return LLAMA_POOLING_TYPE_LAST;
    case Pooling::kNone: break;
  }
  return LLAMA_POOLING_TYPE_NONE;
}

llama_context_params to_params(const ContextOptions& options, const ThreadPool& threads, Numerics numerics) {
  llama_context_params params = llama_context_default_params();
  const bool pools = options.pooling != Pooling::kNone;
  params.n_ctx = options.slots * options.slot_tokens;
  params.n_seq_max = options.slots;
  // Not causal: the whole prompt is one piece of work.
  params.n_batch = pools ? options.slot_tokens : Context::kRowsMax;
  params.n_ubatch = pools ? options.slot_tokens : options.chunk_tokens;
  params.n_outputs_max = pools ? 0 : std::max(options.outputs_max, options.slots);
  params.n_threads = static_cast<std::int32_t>(threads.threads());
  params.n_threads_batch = params.n_threads;
  params.pooling_type = to_llama(options.pooling);
  params.embeddings = pools;
  params.flash_attn_type = numerics == Numerics::kFast ? LLAMA_FLASH_ATTN_TYPE_AUTO : LLAMA_FLASH_ATTN_TYPE_DISABLED;
  params.kv_unified = false;
  params.no_perf = true;
  return params;
}

std::string_view decode_cause(int code) {
  switch (code) {
    case 1: return "no free cells";
    case 2: return "it was aborted";
    case -1: return "the batch is invalid";
    case -2: return "memory ran out";
    default: return "the computation failed";
  }
}

}  // namespace

struct Context::Impl {
  std::shared_ptr<const Model> model;
  ContextOptions options;
  std::unique_ptr<llama_context, FreeContext> context;
  std::optional<KvLayout> layout;
  // Columns of a llama_batch, kept so that a step allocates nothing.
  std::vector<llama_token> tokens;
  std::vector<llama_pos> positions;
  std::vector<std::int32_t> slot_counts;
  std::vector<llama_seq_id> slots;
  std::vector<llama_seq_id*> slot_pointers;
  std::vector<std::int8_t> outputs;

  StreamMap streams;                // where the slots lie
  std::vector<std::size_t> order;   // rows as llama.cpp gets them: by stream
  std::vector<std::int32_t> place;  // of each row in that order
  std::vector<std::byte> moving;    // KV on its way from stream to stream, at most one slot's

  explicit Impl(const ContextOptions& given) : options{given}, streams{given.slots} {}

  [[nodiscard]] llama_seq_id stream_of(std::uint32_t slot) const {
    return static_cast<llama_seq_id>(streams.stream_of(slot));
  }

  int run(std::span<const BatchRow> rows) {
    const std::size_t count = rows.size();
    order.resize(count), place.resize(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::pair{stream_of(rows[a].slot), a} < std::pair{stream_of(rows[b].slot), b};
    });
    tokens.resize(count), positions.resize(count), slot_counts.assign(count, 1), slots.resize(count),
        slot_pointers.resize(count), outputs.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      const BatchRow& row = rows[order[i]];
      place[order[i]] = static_cast<std::int32_t>(i);
      tokens[i] = row.token;
      positions[i] = static_cast<llama_pos>(row.position);
      slots[i] = stream_of(row.slot);
      slot_pointers[i] = &slots[i];
      outputs[i] = row.output ? 1 : 0;
    }
    const llama_batch batch{.n_tokens = static_cast<std::int32_t>(count),
                            .token = tokens.data(),
                            .embd = nullptr,
                            .pos = positions.data(),
                            .n_seq_id = slot_counts.data(),
                            .seq_id = slot_pointers.data(),
                            .logits = outputs.data()};
    return llama_decode(context.get(), batch);
  }

  /// Brings slots that compute one row each beside one another.
  void gather(std::span<const BatchRow> rows) {
    constexpr std::size_t kMovesMax = 2;  // a step; each takes as long as some tokens
    if (!layout || rows.size() < 2) return;
    std::vector<std::uint32_t> counts(options.slots, 0);
    for (const BatchRow& row : rows) ++counts[row.slot];
    std::vector<std::uint32_t> decoding;
    std::vector<bool> occupied(options.slots);
    for (std::uint32_t slot = 0; slot < options.slots; ++slot) {
      if (counts[slot] == 1) decoding.push_back(slot);
      occupied[slot] = counts[slot] > 0 || held_tokens(slot) > 0;
    }
    for (std::size_t left = kMovesMax; left > 0;) {
      const auto moves = streams.join_runs(decoding, occupied, left);
      if (moves.empty()) return;
      for (const StreamMap::Move& move : moves) {
        if (!move_kv(move)) return;
        streams.moved(move);
        --left;
      }
    }
  }

  [[nodiscard]] std::uint32_t held_tokens(std::uint32_t slot) const {
    return static_cast<std::uint32_t>(llama_memory_seq_pos_max(llama_get_memory(context.get()), stream_of(slot)) + 1);
  }

  /// False: everything is as it was.
  bool move_kv(const StreamMap::Move& move) {
    const std::uint32_t count = held_tokens(move.slot);
    const auto from = static_cast<std::uint32_t>(stream_of(move.slot));
    if (count == 0) return true;
    if (!cells_in_place(context.get(), from, 0, count)) return false;
    moving.resize(count * layout->bytes_per_token());
    export_kv(*layout, from, 0, count, moving);
    const std::span<const std::byte> block{moving};
    const auto imported =
        import_kv(context.get(), *layout, {.slot = move.to, .block_tokens = count}, std::span{&block, 1});
    if (!imported) {
      log::warn("{}", imported.error().to_string());
      return false;
    }
    llama_memory_seq_rm(llama_get_memory(context.get()), static_cast<llama_seq_id>(from), -1, -1);
    return true;
  }

  /// One token through the model: finds the KV layout, and pages in what the first request needs.
  void warm_up() {
    const llama_vocab* vocab = llama_model_get_vocab(model->raw());
    const BatchRow row{.token = std::max(0, llama_vocab_bos(vocab)), .position = 0, .slot = 0, .output = true};
    if (run(std::span{&row, 1}) != 0) return;
    if (options.pooling == Pooling::kNone && model_facts(*model).plain_kv) {
      auto found = discover_kv_layout(context.get());
      if (found) {
        layout = std::move(*found);
      } else {
        log::warn("{}", found.error().to_string());
      }
    }
    llama_memory_seq_rm(llama_get_memory(context.get()), 0, -1, -1);
  }
};

Context::Context(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}
Context::~Context() = default;

Result<std::unique_ptr<Context>> Context::make(std::shared_ptr<const Model> model, const ThreadPool& threads,
                                               const ContextOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  impl->model = std::move(model);
  std::string cause;
  try {
    static_cast<void>(take_last_error());
    impl->context.reset(
        llama_init_from_model(impl->model->raw(), to_params(options, threads, impl->model->numerics())));
    cause = take_last_error();
    if (impl->context) {
      llama_attach_threadpool(impl->context.get(), threads.raw(), threads.raw());
      impl->warm_up();
    }
  } catch (const std::exception& failure) {
    cause = failure.what();
    impl->context.reset();
  }
  if (!impl->context) {
    const bool memory = cause.find("alloc") != std::string::npos || cause.find("memory") != std::string::npos;
    return fail(memory ? ErrorCode::kOutOfMemory : ErrorCode::kInternal,
                fmt::format("no context of {} slots of {} tokens: {}", options.slots, options.slot_tokens, cause),
                "lower --kv-memory or --context");
  }
  return std::unique_ptr<Context>{new Context{std::move(impl)}};
}

Result<void> Context::decode(std::span<const BatchRow> rows) {
  const auto outputs = static_cast<std::uint32_t>(
      std::count_if(rows.begin(), rows.end(), [](const BatchRow& row) { return row.output; }));
  const bool pools = impl_->options.pooling != Pooling::kNone;
  if (rows.empty() || rows.size() > kRowsMax ||
      (!pools && outputs > std::max(impl_->options.outputs_max, impl_->options.slots))) {
    return fail(ErrorCode::kInternal,
                fmt::format("a batch of {} rows with {} outputs is beyond the context's limits", rows.size(), outputs));
  }
  std::string cause;
  try {
    static_cast<void>(take_last_error());
    impl_->gather(rows);
    const int code = impl_->run(rows);
    if (code == 0) return {};
    cause = fmt::format("{} (code {})", decode_cause(code), code);
    if (const std::string detail = take_last_error(); !detail.empty()) cause += ": " + detail;
  } catch (const std::exception& failure) {
    cause = failure.what();
  }
  return fail(ErrorCode::kInternal, fmt::format("computing a batch of {} rows failed: {}", rows.size(), cause));
}

std::span<const float> Context::logits(std::size_t index) const {
  if (index >= impl_->place.size()) return {};
  const float* row = llama_get_logits_ith(impl_->context.get(), impl_->place[index]);
  if (row == nullptr) return {};
  return {row, static_cast<std::size_t>(llama_vocab_n_tokens(llama_model_get_vocab(impl_->model->raw())))};
}

std::vector<float> Context::embedding(std::uint32_t slot) const {
  const float* vector = llama_get_embeddings_seq(impl_->context.get(), impl_->stream_of(slot));
  if (vector == nullptr) return {};
  return {vector, vector + llama_model_n_embd_out(impl_->model->raw())};
}

void Context::clear(std::uint32_t slot) {
  llama_memory_t memory = llama_get_memory(impl_->context.get());
  if (memory != nullptr) llama_memory_seq_rm(memory, impl_->stream_of(slot), -1, -1);
}

void Context::clear_all() {
  llama_memory_t memory = llama_get_memory(impl_->context.get());
  if (memory != nullptr) llama_memory_clear(memory, /*data=*/false);
}

bool Context::has_blocks() const noexcept { return impl_->layout.has_value(); }

std::size_t Context::bytes_per_token() const noexcept { return impl_->layout ? impl_->layout->bytes_per_token() : 0; }

std::string Context::kv_signature() const { return impl_->layout ? impl_->layout->signature() : std::string{}; }

Result<void> Context::export_tokens(std::uint32_t slot, std::uint32_t first, std::uint32_t count,
                                    std::span<std::byte> out) const {
  if (!impl_->layout || out.size() != count * bytes_per_token() ||
      !cells_in_place(impl_->context.get(), impl_->streams.stream_of(slot), first, count)) {
    return fail(ErrorCode::kInternal,
                fmt::format("slot {} does not hold tokens {} to {} in place", slot, first, first + count));
  }
  export_kv(*impl_->layout, impl_->streams.stream_of(slot), first, count, out);
  return {};
}

Result<void> Context::import_blocks(std::uint32_t slot, std::span<const std::span<const std::byte>> blocks,
                                    std::uint32_t block_tokens) {
  const std::size_t block_bytes = block_tokens * bytes_per_token();
  const bool sizes_fit =
      impl_->layout && blocks.size() * block_tokens <= slot_tokens() &&
      std::all_of(blocks.begin(), blocks.end(), [&](const auto& block) { return block.size() == block_bytes; });
  if (!sizes_fit || blocks.empty()) {
    return fail(ErrorCode::kInternal,
                fmt::format("{} blocks of {} tokens do not fit slot {}", blocks.size(), block_tokens, slot));
  }
  return import_kv(impl_->context.get(), *impl_->layout,
                   {.slot = impl_->streams.stream_of(slot), .block_tokens = block_tokens}, blocks);
}

std::uint32_t Context::slot_tokens() const noexcept { return llama_n_ctx_seq(impl_->context.get()); }

std::uint64_t Context::kv_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [type, part] : llama_get_memory_breakdown(impl_->context.get())) bytes += part.context;
  return bytes;
}

std::uint64_t Context::compute_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [type, part] : llama_get_memory_breakdown(impl_->context.get())) bytes += part.compute;
  return bytes;
}

}  // namespace llmd::llamacpp
