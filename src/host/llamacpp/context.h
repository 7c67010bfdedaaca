#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "llamacpp/model.h"
#include "llamacpp/thread_pool.h"

namespace llmd::llamacpp {

/// How a context makes one vector of a prompt.
enum class Pooling : std::uint8_t { kNone, kModel, kMean, kCls, kLast };

struct ContextOptions {
  std::uint32_t slots = 1;           // 1..256; each is a KV stream of its own
  std::uint32_t slot_tokens = 0;     // a multiple of 256
  std::uint32_t chunk_tokens = 512;  // rows computed at once; compute memory grows with chunk_tokens x slot_tokens
  std::uint32_t outputs_max = 64;    // rows with logits in one decode
  Pooling pooling = Pooling::kNone;  // not kNone: for embeddings only
};

/// One token to compute.
struct BatchRow {
  TokenId token = 0;
  std::uint32_t position = 0;
  std::uint32_t slot = 0;
  bool output = false;  // logits wanted
};

/// Slots of one size over a model: decode, logits, and the KV of token ranges in and out. With Numerics::kExact a
/// row's result depends on its own sequence alone, bit for bit: streams are separate, flash attention is off, and no
/// kernel is chosen by the number of rows. Belongs to one thread.
class Context {
 public:
  static constexpr std::uint32_t kRowsMax = 4'096;

  /// `threads` must outlive it. Errors: kOutOfMemory, kInternal.
  [[nodiscard]] static Result<std::unique_ptr<Context>> make(std::shared_ptr<const Model> model,
                                                             const ThreadPool& threads, const ContextOptions& options);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// Computes the rows; positions of a slot must follow on what it holds. Pre: at most kRowsMax rows and outputs_max
  /// outputs, those of a slot in the order of their positions. Error kInternal with the cause: the touched slots are
  /// undefined, clear them.
  [[nodiscard]] Result<void> decode(std::span<const BatchRow> rows);
  /// Logits of row `index` of the last decode, which had `output`. Valid until the next decode.
  [[nodiscard]] std::span<const float> logits(std::size_t index) const;
  /// The pooled vector of a slot after a decode, not normalised. Empty if the context does not pool.
  [[nodiscard]] std::vector<float> embedding(std::uint32_t slot) const;

  /// Forgets what a slot holds. O(slot_tokens).
  void clear(std::uint32_t slot);
  void clear_all();

  /// Whether token ranges can be copied: false for sliding-window, recurrent and hybrid models.
  [[nodiscard]] bool has_blocks() const noexcept;
  [[nodiscard]] std::size_t bytes_per_token() const noexcept;
  /// Types and layout of the KV; equal blocks need equal signatures.
  [[nodiscard]] std::string kv_signature() const;

  /// Copies the KV of tokens [first, first + count) out. Pre: has_blocks(), the slot holds them,
  /// out.size() == count * bytes_per_token(). Error kInternal: the slot's cells are not where they must be.
  [[nodiscard]] Result<void> export_tokens(std::uint32_t slot, std::uint32_t first, std::uint32_t count,
                                           std::span<std::byte> out) const;
  /// Fills an empty slot with blocks of `block_tokens` tokens each, beginning at position 0. Pre: has_blocks(), sizes
  /// fit. Error kInternal: the slot is empty then.
  [[nodiscard]] Result<void> import_blocks(std::uint32_t slot, std::span<const std::span<const std::byte>> blocks,
                                           std::uint32_t block_tokens);

  [[nodiscard]] std::uint32_t slot_tokens() const noexcept;
  /// Bytes of KV and of compute buffers, as allocated.
  [[nodiscard]] std::uint64_t kv_bytes() const;
  [[nodiscard]] std::uint64_t compute_bytes() const;

 private:
  struct Impl;
  explicit Context(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace llmd::llamacpp
