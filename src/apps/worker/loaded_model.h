#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/worker/kv_options.h"
#include "apps/worker/options.h"
#include "base/error.h"
#include "engine/engine.h"
#include "engine/simulated_engine.h"
#include "model/kv_event.h"
#include "runtime/loop.h"
#include "simulation/hardware_profile.h"
#include "tokenizer/prepare.h"

namespace llmd::worker {

/// What a worker serves once loading is done. Lives until the process ends.
struct LoadedModel {
  PromptContext prompts;
  std::unique_ptr<Engine> engine;
  SimulatedEngine* simulated = nullptr;  // that engine, if it is one
  std::int64_t created = 0;              // Unix seconds
};

/// Loads the GGUF, its tokenizer and template, and starts the engine. Blocks for as long as that takes: not for a loop.
/// `progress` (0 to 1) is called on this thread. Errors: kFileNotFound, kFileInvalid, kOutOfMemory, kConfigInvalid (the
/// chat template).
[[nodiscard]] Result<LoadedModel> load_model(const Options& options, const KvSetup& kv,
                                             std::function<void(float)> progress);

/// What the endpoints of a process with simulated engines share.
struct SimulatedSetup {
  simulation::HardwareProfile profile{};
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const engine::AnswerWords> words;
};
/// Errors: those of the profile's file.
[[nodiscard]] Result<SimulatedSetup> make_simulated_setup(const Options& options);
/// A simulated engine on the loop. Cheap. `kv_events`: who hears of its blocks; may be null.
[[nodiscard]] LoadedModel make_simulated_model(Loop& loop, const Options& options, const SimulatedSetup& setup,
                                               std::shared_ptr<KvEventSink> kv_events);

}  // namespace llmd::worker
