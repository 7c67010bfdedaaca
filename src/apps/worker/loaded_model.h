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
#include "tokenizer/prepare.h"

namespace llmd::worker {

/// What a worker serves once loading is done. Lives until the process ends.
struct LoadedModel {
  PromptContext prompts;
  std::unique_ptr<Engine> engine;
  std::int64_t created = 0;  // Unix seconds
};

/// Loads the GGUF, its tokenizer and template, and starts the engine. Blocks for as long as that takes: not for a loop.
/// `progress` (0 to 1) is called on this thread. Errors: kFileNotFound, kFileInvalid, kOutOfMemory, kConfigInvalid (the
/// chat template).
[[nodiscard]] Result<LoadedModel> load_model(const Options& options, const KvSetup& kv,
                                             std::function<void(float)> progress);

}  // namespace llmd::worker
