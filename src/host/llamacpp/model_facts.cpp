#include "llamacpp/model_facts.h"

#include <llama-hparams.h>
#include <llama-model.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "llamacpp/backend.h"

namespace llmd::llamacpp {
namespace {

/// A tensor that is used in two ways, as an embedding that is the head as well, may stand in both sums.
void add_packed(const llama_model& model, ModelFacts& facts) {
  for (const auto& [name, tensor] : model.tensors_by_name) {
    const bool packed =
        tensor->buffer != nullptr && std::string_view{ggml_backend_buffer_name(tensor->buffer)} == "CPU_TILES";
    (packed ? facts.packed_bytes : facts.mapped_bytes) += ggml_nbytes(tensor);
  }
  facts.mapped_bytes = std::min(facts.mapped_bytes, facts.weights_bytes);
}

}  // namespace

ModelFacts model_facts(const Model& model) {
  const llama_hparams& hparams = model.raw()->hparams;
  ModelFacts facts;
  facts.weights_bytes = llama_model_size(model.raw());
  add_packed(*model.raw(), facts);
  facts.vocabulary = static_cast<std::uint32_t>(std::max(0, llama_vocab_n_tokens(llama_model_get_vocab(model.raw()))));
  facts.context_tokens = model.info().context_tokens;
  facts.causal = hparams.causal_attn;
  facts.generates = model.info().has_decoder && facts.causal;
  std::uint32_t ff_max = 0;
  for (std::uint32_t layer = 0; layer < hparams.n_layer(); ++layer) {
    facts.heads_max = std::max(facts.heads_max, hparams.n_head(layer));
    ff_max = std::max(ff_max, hparams.n_ff(layer));
    if (hparams.is_recr(layer)) {
      facts.state_bytes_per_slot += (std::uint64_t{hparams.n_embd_r()} + hparams.n_embd_s()) * sizeof(float);
    } else if (hparams.has_kv(layer)) {
      facts.kv_bytes_per_token += (std::uint64_t{hparams.n_embd_k_gqa(layer)} + hparams.n_embd_v_gqa(layer)) * 2;
    }
  }
  facts.activation_width = std::max(ff_max, hparams.n_embd * 3);
  const ModelInfo& info = model.info();
  facts.plain_kv = info.has_decoder && !info.recurrent && !info.hybrid && info.sliding_window == 0;
  facts.has_pooling =
      hparams.pooling_type != LLAMA_POOLING_TYPE_NONE && hparams.pooling_type != LLAMA_POOLING_TYPE_UNSPECIFIED;
  return facts;
}

Result<ModelFacts> read_model_facts(const std::string& path) {
  LLMD_TRY(const std::shared_ptr<const Model> model, Model::load({.path = path, .facts_only = true}));
  return model_facts(*model);
}

std::string build_signature() {
  ensure_backend();
  return std::string{LLMD_LLAMA_BUILD} + " " + llama_print_system_info();
}

}  // namespace llmd::llamacpp
