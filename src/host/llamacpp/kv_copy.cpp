#include "llamacpp/kv_copy.h"

#include <ggml-backend.h>
#include <llama-context.h>
#include <llama-io.h>
#include <llama-kv-cache.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

namespace llmd::llamacpp {
namespace {

bool in_host_memory(const ggml_tensor* tensor) {
  return tensor->buffer != nullptr && ggml_backend_buffer_is_host(tensor->buffer);
}

/// Reads and writes a tensor: plain memory where it is host memory, through its backend elsewhere.
struct TensorBytes {
  explicit TensorBytes(const KvTensor& kv, std::uint32_t stream)
      : tensor{kv.tensor}, base{kv.first_byte + stream * kv.stream_bytes}, host{in_host_memory(kv.tensor)} {}

  void get(std::size_t offset, std::byte* out, std::size_t bytes) const {
    if (host) {
      std::memcpy(out, static_cast<const std::byte*>(tensor->data) + base + offset, bytes);
    } else {
      ggml_backend_tensor_get(tensor, out, base + offset, bytes);
    }
  }
  void set(std::size_t offset, const std::byte* in, std::size_t bytes) const {
    if (host) {
      std::memcpy(static_cast<std::byte*>(tensor->data) + base + offset, in, bytes);
    } else {
      ggml_backend_tensor_set(tensor, in, base + offset, bytes);
    }
  }

  ggml_tensor* tensor;
  std::size_t base;
  bool host;
};

/// The state of one sequence as llama.cpp reads it: our header, and for each tensor the blocks' bytes.
class BlockReader final : public llama_io_read_i {
 public:
  BlockReader(const KvLayout& layout, ImportShape shape, std::span<const std::span<const std::byte>> blocks)
      : layout_{layout},
        shape_{shape},
        blocks_{blocks},
        tokens_{static_cast<std::uint32_t>(blocks.size()) * shape.block_tokens} {
    header_.reserve(std::size_t{tokens_} * 12 + layout.streams * 4 + (layout.k.size() + layout.v.size()) * 16 + 64);
    put(layout.streams);
    put(tokens_);
    for (std::uint32_t i = 0; i < tokens_; ++i) {
      put(static_cast<llama_pos>(i));
      put(std::uint32_t{1});
      put(static_cast<llama_seq_id>(shape.slot));
    }
    put(std::uint32_t{layout.v_transposed ? 1U : 0U});
    put(static_cast<std::uint32_t>(layout.k.size()));
    for (const KvTensor& tensor : layout.k) {
      put(tensor.type);
      put(std::uint64_t{tensor.row_bytes});
    }
    for (const KvTensor& tensor : layout.v) put_v(tensor);
    for (std::uint32_t i = 1; i < layout.streams; ++i) put(std::uint32_t{0});
  }

  void read(void* out, std::size_t size) override {
    if (size > header_.size() - at_) {
      misplaced_ = true;  // llama.cpp reads past what a state of this layout holds
      std::memset(out, 0, size);
      return;
    }
    std::memcpy(out, header_.data() + at_, size);
    at_ += size;
  }
  void read_tensor(ggml_tensor* view, std::size_t offset, std::size_t size) override {
    const bool is_k = layer_ < layout_.k.size();
    const std::size_t v_layer = layer_ - std::min(layer_, layout_.k.size());
    if (!is_k && v_layer >= layout_.v.size()) {
      misplaced_ = true;
      return;
    }
    const KvTensor& kv = is_k ? layout_.k[layer_] : layout_.v[v_layer];
    const std::size_t expected = value_ * kv.value_stride;
    if (view->view_src != kv.tensor || offset != expected || size != tokens_ * kv.row_bytes) {
      misplaced_ = true;
      return;
    }
    copy_in(kv);
    if (++value_ >= std::max(1U, kv.values)) {
      block_offset_ += kv.row_bytes * std::max(1U, kv.values) * shape_.block_tokens;
      value_ = 0;
      ++layer_;
    }
  }
  std::size_t n_bytes() override { return at_; }
  [[nodiscard]] bool in_place() const noexcept { return !misplaced_ && at_ == header_.size(); }

 private:
  template <class T>
  void put(T value) {
    header_.resize(header_.size() + sizeof value);
    std::memcpy(header_.data() + header_.size() - sizeof value, &value, sizeof value);
  }
  void put_v(const KvTensor& tensor) {
    put(tensor.type);
    if (!layout_.v_transposed) return put(std::uint64_t{tensor.row_bytes});
    put(static_cast<std::uint32_t>(tensor.row_bytes));
    put(tensor.values);
  }
  void copy_in(const KvTensor& kv) const {
    const TensorBytes bytes{kv, shape_.slot};
    const std::size_t piece = kv.row_bytes * shape_.block_tokens;
    std::size_t to = value_ * kv.value_stride;
    for (const auto& block : blocks_) {
      bytes.set(to, block.data() + block_offset_ + value_ * piece, piece);
      to += piece;
    }
  }

  const KvLayout& layout_;
  const ImportShape shape_;
  std::span<const std::span<const std::byte>> blocks_;
  const std::uint32_t tokens_;
  std::vector<std::byte> header_;
  std::size_t at_ = 0;
  std::size_t layer_ = 0;         // K layers, then V layers
  std::size_t value_ = 0;         // transposed: which value's row
  std::size_t block_offset_ = 0;  // where this tensor's part of a block begins
  bool misplaced_ = false;
};

}  // namespace

void export_kv(const KvLayout& layout, std::uint32_t stream, std::uint32_t first, std::uint32_t count,
               std::span<std::byte> out) {
  std::byte* to = out.data();
  for (const KvTensor& kv : layout.k) {
    TensorBytes{kv, stream}.get(first * kv.row_bytes, to, count * kv.row_bytes);
    to += count * kv.row_bytes;
  }
  for (const KvTensor& kv : layout.v) {
    const TensorBytes bytes{kv, stream};
    for (std::size_t value = 0; value < std::max(1U, kv.values); ++value) {
      bytes.get(first * kv.row_bytes + value * kv.value_stride, to, count * kv.row_bytes);
      to += count * kv.row_bytes;
    }
  }
}

Result<void> import_kv(llama_context* context, const KvLayout& layout, ImportShape shape,
                       std::span<const std::span<const std::byte>> blocks) {
  llama_memory_i* memory = llama_get_memory(context);
  const auto slot = static_cast<llama_seq_id>(shape.slot);
  std::string cause;
  try {
    BlockReader reader{layout, shape, blocks};
    memory->state_read(reader, slot);
    if (reader.in_place()) return {};
    cause = "llama.cpp chose other cells than an empty slot has";
  } catch (const std::exception& failure) {
    cause = failure.what();
  }
  memory->seq_rm(slot, -1, -1);
  return fail(ErrorCode::kInternal, "importing KV blocks failed: " + cause);
}

bool cells_in_place(llama_context* context, std::uint32_t stream, std::uint32_t first, std::uint32_t count) {
  const auto* cache = dynamic_cast<const llama_kv_cache*>(llama_get_memory(context));
  if (cache == nullptr || count == 0) return false;
  const auto& cells = cache->get_cells(static_cast<llama_seq_id>(stream));
  for (std::uint32_t i = first; i < first + count; ++i) {
    if (i >= cells.size() || cells.is_empty(i) || cells.pos_get(i) != static_cast<llama_pos>(i)) return false;
  }
  return true;
}

}  // namespace llmd::llamacpp
