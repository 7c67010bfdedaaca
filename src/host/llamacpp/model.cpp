#include "llamacpp/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "llama.h"
#include "llamacpp/backend.h"
#include "llamacpp/gguf_file.h"

namespace llmd::llamacpp {
namespace {

std::string meta(const llama_model* model, const char* key) {
  std::array<char, 256> buffer{};
  const int length = llama_model_meta_val_str(model, key, buffer.data(), buffer.size());
  if (length < 0) return {};
  return std::string{buffer.data(), std::min<std::size_t>(static_cast<std::size_t>(length), buffer.size() - 1)};
}

/// All files of a model that is split over several, the given one first.
Result<std::vector<std::string>> model_files(const std::string& path, std::uint32_t split_count) {
  if (split_count <= 1) return std::vector<std::string>{path};
  std::array<char, 4096> prefix{};
  if (llama_split_prefix(prefix.data(), prefix.size(), path.c_str(), 0, static_cast<int>(split_count)) <= 0) {
    return fail(ErrorCode::kFileInvalid,
                fmt::format("model file {} is one of {} parts, but not named as the first of them", path, split_count),
                fmt::format("name the part ...-00001-of-{:05}.gguf", split_count));
  }
  std::vector<std::string> files;
  for (std::uint32_t i = 0; i < split_count; ++i) {
    std::array<char, 4096> name{};
    llama_split_path(name.data(), name.size(), prefix.data(), static_cast<int>(i), static_cast<int>(split_count));
    files.emplace_back(name.data());
  }
  return files;
}

struct CheckedFiles {
  std::uint64_t bytes = 0;
  Digest256 fingerprint{};
  GgufFacts first;
};

Result<CheckedFiles> check_files(const std::string& path, bool with_fingerprint) {
  LLMD_TRY(const GgufFacts first, check_gguf(path));
  LLMD_TRY(const std::vector<std::string> files, model_files(path, first.split_count));
  CheckedFiles checked{.first = first};
  Sha256 hash;
  for (const std::string& file : files) {
    LLMD_TRY(const GgufFacts facts, file == path ? Result<GgufFacts>{first} : check_gguf(file));
    checked.bytes += facts.file_bytes;
    if (!with_fingerprint) continue;
    LLMD_TRY(const Digest256 digest, fingerprint_gguf(file, facts));
    hash.update(std::as_bytes(std::span{digest}));
  }
  checked.fingerprint = hash.finish();
  return checked;
}

bool on_progress(float progress, void* options) {
  const auto& report = static_cast<const ModelOptions*>(options)->progress;
  if (report) report(progress);
  return true;
}

llama_model_params to_params(const ModelOptions& options) {
  llama_model_params params = llama_model_default_params();
  params.n_gpu_layers = options.gpu_layers;
  params.load_mode = options.use_mmap ? LLAMA_LOAD_MODE_MMAP : LLAMA_LOAD_MODE_NONE;
  params.use_extra_bufts = options.numerics == Numerics::kFast;
  params.use_tile_bufts = options.pack_weights && options.numerics == Numerics::kExact;
  params.vocab_only = options.vocab_only;
  if (options.facts_only) {
    params.no_alloc = true;
    params.load_mode = LLAMA_LOAD_MODE_NONE;
  }
  params.progress_callback = on_progress;
  params.progress_callback_user_data = const_cast<ModelOptions*>(&options);
  return params;
}

/// Null, and why not.
llama_model* load_raw(const std::string& path, const llama_model_params& params, std::string& cause) {
  try {
    static_cast<void>(take_last_error());
    llama_model* model = llama_model_load_from_file(path.c_str(), params);
    cause = take_last_error();
    return model;
  } catch (const std::exception& failure) {
    cause = failure.what();
    return nullptr;
  }
}

/// The shape of the weights. Most of the time would go into the vocabulary, of which they need the size alone.
llama_model* load_shape(const std::string& path, llama_model_params params, const GgufFacts& facts) {
  std::array<llama_model_kv_override, 3> overrides{};  // the last one ends the list
  const std::string size_key = facts.architecture + ".vocab_size";
  if (facts.vocabulary == 0 || size_key.size() >= sizeof(overrides[0].key)) return nullptr;
  overrides[0].tag = LLAMA_KV_OVERRIDE_TYPE_STR;
  std::string_view{"tokenizer.ggml.model"}.copy(overrides[0].key, sizeof(overrides[0].key) - 1);
  std::string_view{"none"}.copy(overrides[0].val_str, sizeof(overrides[0].val_str) - 1);
  overrides[1].tag = LLAMA_KV_OVERRIDE_TYPE_INT;
  size_key.copy(overrides[1].key, sizeof(overrides[1].key) - 1);
  overrides[1].val_i64 = static_cast<std::int64_t>(facts.vocabulary);
  params.kv_overrides = overrides.data();
  std::string cause;
  return load_raw(path, params, cause);
}

ModelInfo describe(const llama_model* model, const std::string& path, const CheckedFiles& files) {
  ModelInfo info;
  info.name = meta(model, "general.name");
  if (info.name.empty()) info.name = std::filesystem::path{path}.stem().string();
  info.architecture = meta(model, "general.architecture");
  info.file_bytes = files.bytes;
  info.parameters = llama_model_n_params(model);
  info.context_tokens = static_cast<std::uint32_t>(std::max(0, llama_model_n_ctx_train(model)));
  info.layers = static_cast<std::uint32_t>(std::max(0, llama_model_n_layer(model)));
  info.has_decoder = llama_model_has_decoder(model);
  info.has_encoder = llama_model_has_encoder(model);
  info.recurrent = llama_model_is_recurrent(model);
  info.hybrid = llama_model_is_hybrid(model);
  info.sliding_window = static_cast<std::uint32_t>(std::max(0, llama_model_n_swa(model)));
  info.fingerprint = files.fingerprint;
  return info;
}

}  // namespace

Result<std::shared_ptr<const Model>> Model::load(const ModelOptions& options) {
  ensure_backend();
  LLMD_TRY(const CheckedFiles files, check_files(options.path, !options.facts_only));
  std::shared_ptr<Model> model{new Model};
  std::string cause;
  const llama_model_params params = to_params(options);
  if (options.facts_only) model->model_ = load_shape(options.path, params, files.first);
  if (model->model_ == nullptr) model->model_ = load_raw(options.path, params, cause);
  if (model->model_ == nullptr) {
    const bool memory = cause.find("alloc") != std::string::npos || cause.find("memory") != std::string::npos;
    return fail(memory ? ErrorCode::kOutOfMemory : ErrorCode::kFileInvalid,
                fmt::format("model file {} ({} bytes) does not load: {}", options.path, files.bytes,
                            cause.empty() ? "no reason given" : cause),
                memory ? "free memory, or take a smaller quantisation" : "this version may not know the architecture");
  }
  model->numerics_ = options.numerics;
  model->info_ = describe(model->model_, options.path, files);
  return model;
}

Model::~Model() {
  if (model_ != nullptr) llama_model_free(model_);
}

}  // namespace llmd::llamacpp
