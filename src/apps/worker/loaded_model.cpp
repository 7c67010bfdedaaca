#include "apps/worker/loaded_model.h"

#include <ctime>
#include <utility>

#include "config/hardware_profile.h"
#include "engine/llama_engine.h"
#include "tokenizer/byte_tokenizer.h"

namespace llmd::worker {
namespace {

llamacpp::Pooling pooling_of(std::string_view name) {
  using llamacpp::Pooling;
  if (name == "none") return Pooling::kNone;
  if (name == "mean") return Pooling::kMean;
  if (name == "cls") return Pooling::kCls;
  return name == "last" ? Pooling::kLast : Pooling::kModel;
}

EngineOptions engine_options(const Options& options, const KvSetup& kv) {
  EngineOptions engine;
  engine.model.path = options.model_path;
  engine.threads = options.threads;
  engine.kv_bytes = options.kv_bytes;
  engine.store_bytes = options.store_bytes;
  engine.store_shareable = kv.listen && kv.listen->is_unix();  // pullers on this host read it in place
  engine.context_tokens = options.context_tokens;
  engine.allow_long_context = options.allow_long_context;
  engine.waiting_max = options.waiting_max;
  engine.sequences_max = options.running_max;
  engine.step_tokens = options.step_tokens;
  engine.tpot_target_ms = options.tpot_target_ms;
  engine.model.gpu_layers = options.gpu_layers;
  engine.model.numerics = options.numerics == "fast" ? llamacpp::Numerics::kFast : llamacpp::Numerics::kExact;
  engine.weights = engine::weights_of(options.numerics, options.weights);
  engine.pooling = pooling_of(options.pooling);
  return engine;
}

}  // namespace

Result<LoadedModel> load_model(const Options& options, const KvSetup& kv, std::function<void(float)> progress) {
  LLMD_TRY(const std::string chat_template, read_chat_template(options.chat_template_path));
  EngineOptions wanted = engine_options(options, kv);
  wanted.model.progress = std::move(progress);
  LLMD_TRY(std::unique_ptr<LlamaEngine> engine, LlamaEngine::make(wanted));
  LLMD_TRY(std::shared_ptr<const Tokenizer> tokenizer, Tokenizer::from_model(engine->model(), chat_template));
  LoadedModel loaded;
  loaded.prompts = make_prompt_context(std::move(tokenizer), engine->info().context_tokens);
  loaded.engine = std::move(engine);
  loaded.created = std::time(nullptr);
  return loaded;
}

Result<SimulatedSetup> make_simulated_setup(const Options& options) {
  SimulatedSetup setup;
  LLMD_TRY(setup.profile, config::find_hardware_profile(options.profile));
  setup.tokenizer = make_byte_tokenizer();
  std::vector<engine::AnswerWords::Word> words;
  for (const std::string_view text : engine::AnswerWords::texts())
    words.push_back({.token = setup.tokenizer->encode(text, {}).front(), .text = std::string{text}});
  setup.words = std::make_shared<const engine::AnswerWords>(std::move(words));
  return setup;
}

LoadedModel make_simulated_model(Loop& loop, const Options& options, const SimulatedSetup& setup,
                                 std::shared_ptr<KvEventSink> kv_events) {
  auto engine =
      std::make_unique<SimulatedEngine>(loop, SimulatedEngineOptions{.model_name = options.served_names.front(),
                                                                     .profile = setup.profile,
                                                                     .output_tokens = options.sim_output_tokens,
                                                                     .words = setup.words,
                                                                     .kv_events = std::move(kv_events)});
  LoadedModel loaded;
  loaded.prompts = make_prompt_context(setup.tokenizer, engine->info().context_tokens);
  loaded.simulated = engine.get();
  loaded.engine = std::move(engine);
  loaded.created = std::time(nullptr);
  return loaded;
}

}  // namespace llmd::worker
