#include "llamacpp/kv_layout.h"

#include <fmt/format.h>
#include <llama-context.h>
#include <llama-io.h>
#include <llama-kv-cache.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <optional>
#include <string_view>

namespace llmd::llamacpp {
namespace {

std::unexpected<Error> unsupported(std::string_view why) {
  return fail(ErrorCode::kUnsupported, fmt::format("the model's KV has no block layout: {}", why),
              "it is served without block reuse");
}

/// Keeps what llama.cpp writes: values as they are, tensors as (tensor, offset, size).
class Recorder final : public llama_io_write_i {
 public:
  struct Piece {
    std::vector<std::byte> value;   // of a write()
    ggml_tensor* tensor = nullptr;  // of a write_tensor()
    std::size_t offset = 0;
    std::size_t bytes = 0;
  };

  void write(const void* source, std::size_t size) override {
    const auto* bytes = static_cast<const std::byte*>(source);
    pieces_.push_back({.value = {bytes, bytes + size}});
    written_ += size;
  }
  void write_tensor(ggml_tensor* tensor, std::size_t offset, std::size_t size) override {
    pieces_.push_back({.tensor = tensor, .offset = offset, .bytes = size});
    written_ += size;
  }
  std::size_t n_bytes() override { return written_; }

  /// The next value of type T; none if the next piece is not one of that size.
  template <class T>
  std::optional<T> value() {
    if (next_ >= pieces_.size() || pieces_[next_].tensor != nullptr || pieces_[next_].value.size() != sizeof(T))
      return {};
    T out{};
    std::memcpy(&out, pieces_[next_++].value.data(), sizeof out);
    return out;
  }
  std::optional<Piece> tensor() {
    if (next_ >= pieces_.size() || pieces_[next_].tensor == nullptr) return {};
    return pieces_[next_++];
  }
  [[nodiscard]] std::size_t remaining() const noexcept { return pieces_.size() - next_; }

 private:
  std::vector<Piece> pieces_;
  std::size_t next_ = 0;
  std::size_t written_ = 0;
};

/// The tensor behind the view of stream 0.
std::optional<KvTensor> whole_tensor(ggml_tensor* view, std::int32_t type) {
  ggml_tensor* whole = view->view_src;
  if (whole == nullptr || view->view_offs != 0 || view->type != type) return {};
  return KvTensor{.tensor = whole, .stream_bytes = whole->nb[2], .first_byte = 0, .type = type};
}

/// A tensor whose cells are rows: K, and V with flash attention.
std::optional<KvTensor> read_rows(Recorder& recorder) {
  const auto type = recorder.value<std::int32_t>();
  const auto row_bytes = recorder.value<std::uint64_t>();
  const auto piece = recorder.tensor();
  if (!type || !row_bytes || !piece || piece->offset != 0 || piece->bytes != *row_bytes) return {};
  auto tensor = whole_tensor(piece->tensor, *type);
  if (tensor) tensor->row_bytes = *row_bytes;
  return tensor;
}

/// V without flash attention: each value has a row over all cells.
std::optional<KvTensor> read_transposed(Recorder& recorder) {
  const auto type = recorder.value<std::int32_t>();
  const auto element_bytes = recorder.value<std::uint32_t>();
  const auto values = recorder.value<std::uint32_t>();
  if (!type || !element_bytes || !values || *values == 0) return {};
  std::optional<KvTensor> tensor;
  for (std::uint32_t i = 0; i < *values; ++i) {
    const auto piece = recorder.tensor();
    if (!piece || piece->bytes != *element_bytes) return {};
    if (i == 0) {
      tensor = whole_tensor(piece->tensor, *type);
      if (!tensor || piece->offset != 0) return {};
    }
    if (i == 1) tensor->value_stride = piece->offset;
    if (piece->tensor->view_src != tensor->tensor || piece->offset != i * tensor->value_stride) return {};
  }
  tensor->row_bytes = *element_bytes;
  tensor->values = *values;
  return tensor;
}

/// Header of a state with one cell in it: streams, cells a stream, and that cell.
std::optional<std::uint32_t> read_header(Recorder& recorder) {
  const auto streams = recorder.value<std::uint32_t>();
  if (!streams || recorder.value<std::uint32_t>() != 1U) return {};
  if (recorder.value<llama_pos>() != 0 || recorder.value<std::uint32_t>() != 1U) return {};
  if (recorder.value<llama_seq_id>() != 0) return {};
  return streams;
}

}  // namespace

std::size_t KvLayout::bytes_per_token() const noexcept {
  std::size_t bytes = 0;
  for (const KvTensor& tensor : k) bytes += tensor.row_bytes;
  for (const KvTensor& tensor : v) bytes += tensor.row_bytes * std::max(1U, tensor.values);
  return bytes;
}

std::string KvLayout::signature() const {
  std::string text = fmt::format("v_transposed={} ", v_transposed);
  for (const KvTensor& tensor : k) text += fmt::format("k{}:{} ", tensor.type, tensor.row_bytes);
  for (const KvTensor& tensor : v) text += fmt::format("v{}:{}x{} ", tensor.type, tensor.row_bytes, tensor.values);
  return text;
}

Result<KvLayout> discover_kv_layout(llama_context* context) {
  auto* cache = dynamic_cast<llama_kv_cache*>(llama_get_memory(context));
  if (cache == nullptr) return unsupported("it is not one KV cache");
  if (cache->has_cell_ext()) return unsupported("its cells carry more than a position");
  Recorder recorder;
  try {
    static_cast<llama_memory_i*>(cache)->state_write(recorder, 0);
  } catch (const std::exception& failure) {
    return unsupported(failure.what());
  }
  const auto streams = read_header(recorder);
  const auto v_transposed = recorder.value<std::uint32_t>();
  const auto layers = recorder.value<std::uint32_t>();
  if (!streams || !v_transposed || !layers) return unsupported("its state has an unknown header");
  KvLayout layout{.streams = *streams, .v_transposed = *v_transposed != 0};
  for (std::uint32_t i = 0; i < *layers; ++i) {
    auto tensor = read_rows(recorder);
    if (!tensor) return unsupported("the state of its K has an unknown form");
    layout.k.push_back(*tensor);
  }
  // Streams that follow hold nothing: one zero each ends the state. Compressed KV (MLA) has no V at all.
  const std::size_t other_streams = *streams - 1;
  for (std::uint32_t i = 0; i < *layers && recorder.remaining() != other_streams; ++i) {
    auto tensor = layout.v_transposed ? read_transposed(recorder) : read_rows(recorder);
    if (!tensor) return unsupported("the state of its V has an unknown form");
    layout.v.push_back(*tensor);
  }
  for (std::size_t i = 0; i < other_streams; ++i) {
    if (recorder.value<std::uint32_t>() != 0U) return unsupported("another stream is not empty");
  }
  if (recorder.remaining() != 0) return unsupported("its state is longer than expected");
  return layout;
}

}  // namespace llmd::llamacpp
