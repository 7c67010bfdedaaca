#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/hash.h"

struct llama_model;

namespace llmd::llamacpp {

/// How the CPU computes. kExact: a row's bits depend on its own sequence alone. kFast: also llama.cpp's repacked
/// weights and flash attention, whose rounding depends on how many rows share a batch.
enum class Numerics : std::uint8_t { kExact, kFast };

struct ModelOptions {
  std::string path;
  Numerics numerics = Numerics::kExact;
  bool use_mmap = true;
  /// Weights of types that the column tiles know are copied into memory in the order in which products read them: the
  /// same bits, sooner (kExact only; kFast has llama.cpp's own orders).
  bool pack_weights = true;
  std::int32_t gpu_layers = 0;
  bool vocab_only = false;                // for the gateway: tokenizer and chat template, no weights
  bool facts_only = false;                // for planning: the shape of the weights, no vocabulary, no fingerprint
  std::function<void(float)> progress{};  // 0..1, called on the loading thread
};

/// What the file says of itself.
struct ModelInfo {
  std::string name;  // general.name, or the file's stem
  std::string architecture;
  std::uint64_t file_bytes = 0;
  std::uint64_t parameters = 0;
  std::uint32_t context_tokens = 0;  // trained context
  std::uint32_t layers = 0;
  bool has_decoder = true;
  bool has_encoder = false;
  bool recurrent = false;
  bool hybrid = false;
  std::uint32_t sliding_window = 0;  // 0: none
  Digest256 fingerprint{};           // of the metadata and weights (sampled), not of the path
};

/// A loaded GGUF. Immutable and thread-safe after load.
class Model {
 public:
  /// Errors: kFileNotFound, kFileInvalid (not a GGUF, or cut short: says at which byte), kOutOfMemory.
  [[nodiscard]] static Result<std::shared_ptr<const Model>> load(const ModelOptions& options);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  [[nodiscard]] const ModelInfo& info() const noexcept { return info_; }
  [[nodiscard]] Numerics numerics() const noexcept { return numerics_; }
  [[nodiscard]] llama_model* raw() const noexcept { return model_; }

 private:
  Model() = default;
  ModelInfo info_;
  Numerics numerics_ = Numerics::kExact;
  llama_model* model_ = nullptr;
};

}  // namespace llmd::llamacpp
