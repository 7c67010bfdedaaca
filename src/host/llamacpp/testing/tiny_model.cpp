#include "llamacpp/testing/tiny_model.h"

#include <fmt/format.h>
#include <ggml.h>
#include <gguf.h>

#include <cmath>
#include <initializer_list>
#include <memory>
#include <string>

#include "base/rng.h"

namespace llmd::llamacpp::testing {
namespace {

constexpr std::int64_t kWidth = 32;
constexpr std::int64_t kFeedForward = 64;
constexpr std::int64_t kHeadWidth = 16;
constexpr std::int64_t kInner = 2 * kWidth;  // Mamba
constexpr std::int64_t kState = 8;
constexpr std::int64_t kStepRank = 4;
constexpr std::uint32_t kLayers = 2;
constexpr std::uint32_t kContext = 512;

struct FreeGguf {
  void operator()(gguf_context* gguf) const noexcept { gguf_free(gguf); }
};
struct FreeTensors {
  void operator()(ggml_context* tensors) const noexcept { ggml_free(tensors); }
};

class Writer {
 public:
  explicit Writer(const gguf_context* vocabulary) : gguf_{gguf_init_empty()} {
    gguf_set_kv(gguf_.get(), vocabulary);
    tensors_.reset(ggml_init({.mem_size = 64U << 20U, .mem_buffer = nullptr, .no_alloc = false}));
  }

  void set(const std::string& key, std::uint32_t value) { gguf_set_val_u32(gguf_.get(), key.c_str(), value); }
  void set(const std::string& key, float value) { gguf_set_val_f32(gguf_.get(), key.c_str(), value); }
  void set(const std::string& key, bool value) { gguf_set_val_bool(gguf_.get(), key.c_str(), value); }

  void common_keys(const char* architecture) {
    gguf_set_val_str(gguf_.get(), "general.architecture", architecture);
    gguf_set_val_str(gguf_.get(), "general.name", fmt::format("tiny {}", architecture).c_str());
    const std::string prefix = architecture;
    set(prefix + ".context_length", kContext);
    set(prefix + ".embedding_length", static_cast<std::uint32_t>(kWidth));
    set(prefix + ".block_count", kLayers);
    set(prefix + ".feed_forward_length", static_cast<std::uint32_t>(kFeedForward));
    set(prefix + ".attention.layer_norm_rms_epsilon", 1e-5F);
  }

  void tensor(const std::string& name, std::initializer_list<std::int64_t> sizes) {
    ggml_tensor* made = ggml_new_tensor(tensors_.get(), GGML_TYPE_F32, static_cast<int>(sizes.size()), sizes.begin());
    ggml_set_name(made, name.c_str());
    auto* values = static_cast<float*>(made->data);
    for (std::int64_t i = 0; i < ggml_nelements(made); ++i) values[i] = static_cast<float>(rng_.uniform() - 0.5) * 0.6F;
    gguf_add_tensor(gguf_.get(), made);
  }
  void tensors(std::uint32_t layer, std::initializer_list<const char*> names,
               std::initializer_list<std::int64_t> sizes) {
    for (const char* name : names) tensor(fmt::format("blk.{}.{}", layer, name), sizes);
  }
  [[nodiscard]] bool write(const std::string& path) const {
    return gguf_write_to_file(gguf_.get(), path.c_str(), false);
  }

 private:
  std::unique_ptr<gguf_context, FreeGguf> gguf_;
  std::unique_ptr<ggml_context, FreeTensors> tensors_;
  Rng rng_{42};
};

void recurrent(Writer& writer) {
  writer.common_keys("mamba");
  writer.set("mamba.ssm.conv_kernel", 4U);
  writer.set("mamba.ssm.inner_size", static_cast<std::uint32_t>(kInner));
  writer.set("mamba.ssm.state_size", static_cast<std::uint32_t>(kState));
  writer.set("mamba.ssm.time_step_rank", static_cast<std::uint32_t>(kStepRank));
  for (std::uint32_t i = 0; i < kLayers; ++i) {
    writer.tensors(i, {"attn_norm.weight"}, {kWidth});
    writer.tensors(i, {"ssm_in.weight"}, {kWidth, 2 * kInner});
    writer.tensors(i, {"ssm_conv1d.weight"}, {4, kInner});
    writer.tensors(i, {"ssm_conv1d.bias", "ssm_dt.bias", "ssm_d"}, {kInner});
    writer.tensors(i, {"ssm_x.weight"}, {kInner, kStepRank + 2 * kState});
    writer.tensors(i, {"ssm_dt.weight"}, {kStepRank, kInner});
    writer.tensors(i, {"ssm_a"}, {kState, kInner});
    writer.tensors(i, {"ssm_out.weight"}, {kInner, kWidth});
  }
}

void sliding_window(Writer& writer) {
  writer.common_keys("gemma2");
  writer.set("gemma2.attention.head_count", 2U);
  writer.set("gemma2.attention.head_count_kv", 1U);
  writer.set("gemma2.attention.key_length", static_cast<std::uint32_t>(kHeadWidth));
  writer.set("gemma2.attention.value_length", static_cast<std::uint32_t>(kHeadWidth));
  writer.set("gemma2.attention.sliding_window", 64U);
  writer.set("gemma2.attn_logit_softcapping", 50.0F);
  writer.set("gemma2.final_logit_softcapping", 30.0F);
  for (std::uint32_t i = 0; i < kLayers; ++i) {
    writer.tensors(i, {"attn_norm.weight", "post_attention_norm.weight", "ffn_norm.weight", "post_ffw_norm.weight"},
                   {kWidth});
    writer.tensors(i, {"attn_q.weight"}, {kWidth, 2 * kHeadWidth});
    writer.tensors(i, {"attn_k.weight", "attn_v.weight"}, {kWidth, kHeadWidth});
    writer.tensors(i, {"attn_output.weight"}, {2 * kHeadWidth, kWidth});
    writer.tensors(i, {"ffn_gate.weight", "ffn_up.weight"}, {kWidth, kFeedForward});
    writer.tensors(i, {"ffn_down.weight"}, {kFeedForward, kWidth});
  }
}

void embedding(Writer& writer) {
  writer.common_keys("bert");
  writer.set("bert.attention.head_count", 2U);
  writer.set("bert.attention.layer_norm_epsilon", 1e-5F);
  writer.set("bert.attention.causal", false);
  writer.set("bert.pooling_type", 1U);
  writer.set("tokenizer.ggml.token_type_count", 2U);
  writer.tensor("token_types.weight", {kWidth, 2});
  writer.tensor("position_embd.weight", {kWidth, kContext});
  writer.tensor("token_embd_norm.weight", {kWidth});
  writer.tensor("token_embd_norm.bias", {kWidth});
  for (std::uint32_t i = 0; i < kLayers; ++i) {
    writer.tensors(i, {"attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight"}, {kWidth, kWidth});
    writer.tensors(i,
                   {"attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_output.bias", "attn_output_norm.weight",
                    "attn_output_norm.bias", "ffn_down.bias", "layer_output_norm.weight", "layer_output_norm.bias"},
                   {kWidth});
    writer.tensors(i, {"ffn_up.weight"}, {kWidth, kFeedForward});
    writer.tensors(i, {"ffn_up.bias"}, {kFeedForward});
    writer.tensors(i, {"ffn_down.weight"}, {kFeedForward, kWidth});
  }
}

}  // namespace

Result<void> write_tiny_model(TinyKind kind, const std::string& vocabulary_from, const std::string& path) {
  const std::unique_ptr<gguf_context, FreeGguf> vocabulary{
      gguf_init_from_file(vocabulary_from.c_str(), {.no_alloc = true, .ctx = nullptr})};
  if (!vocabulary)
    return fail(ErrorCode::kFileInvalid, fmt::format("{} is no GGUF to take a vocabulary from", vocabulary_from));
  const std::int64_t tokens = gguf_find_key(vocabulary.get(), "tokenizer.ggml.tokens");
  if (tokens < 0) return fail(ErrorCode::kFileInvalid, fmt::format("{} holds no vocabulary", vocabulary_from));
  Writer writer{vocabulary.get()};
  if (kind == TinyKind::kRecurrent) recurrent(writer);
  if (kind == TinyKind::kSlidingWindow) sliding_window(writer);
  if (kind == TinyKind::kEmbedding) embedding(writer);
  writer.tensor("token_embd.weight", {kWidth, static_cast<std::int64_t>(gguf_get_arr_n(vocabulary.get(), tokens))});
  if (kind != TinyKind::kEmbedding) writer.tensor("output_norm.weight", {kWidth});
  if (!writer.write(path)) return fail(ErrorCode::kIo, fmt::format("{} cannot be written", path));
  return {};
}

}  // namespace llmd::llamacpp::testing
