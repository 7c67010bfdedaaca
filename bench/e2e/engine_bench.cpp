// links: llmd_engine llmd_llamacpp
// Question: what does the engine (scheduler, block store, sampling, events) cost beside the bare computation? The
// number that matters: CPU ms a token, engine over bare loop, at 1, 8, 32 and 64 sequences; wall time is shown beside
// it, and is noise on a busy machine. Baseline: the same contexts driven by a loop that only decodes and takes the
// largest logit. Estimate: 2 % (a greedy sample of 49k logits 10 us, a block of 32 tokens 100 us, against 5 to 10 ms a
// token).
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/rng.h"
#include "engine/llama/sampler.h"
#include "engine/llama_engine.h"
#include "llamacpp/context.h"

namespace {

using namespace llmd;

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds_of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

class Meter {
 public:
  void report(const std::string& name, std::size_t tokens) const {
    const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    const double cpu = cpu_seconds() - cpu_;
    fmt::print("{:<28} {:>7} tokens  {:>8.1f} tokens/s  {:>7.3f} CPU ms/token\n", name, tokens,
               static_cast<double>(tokens) / wall, cpu * 1e3 / static_cast<double>(tokens));
    std::fflush(stdout);
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double cpu_ = cpu_seconds();
};

class Counter final : public SequenceSink {
 public:
  void on_events(std::vector<SequenceEvent>&& events) override {
    const std::lock_guard lock{mutex_};
    for (const SequenceEvent& event : events) {
      if (event.error) fmt::print("error: {}\n", event.error->to_string());
      tokens_ += event.tokens.size();
      finished_ += event.finish ? 1 : 0;
    }
    changed_.notify_all();
  }
  std::size_t wait(std::size_t sequences) {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, std::chrono::minutes{10}, [&] { return finished_ >= sequences; })) std::abort();
    return tokens_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t tokens_ = 0;
  std::size_t finished_ = 0;
};

std::vector<TokenId> random_prompt(Rng& rng, std::size_t tokens) {
  std::vector<TokenId> prompt(tokens);
  for (TokenId& token : prompt) token = static_cast<TokenId>(100 + rng.below(40'000));
  return prompt;
}

struct Load {
  std::size_t sequences;
  std::size_t prompt_tokens;
  std::uint32_t output_tokens;
};

void run_engine(LlamaEngine& engine, const Load& load, const std::string& name) {
  Rng rng{load.sequences * 1'000 + load.prompt_tokens};
  auto counter = std::make_shared<Counter>();
  const Meter meter;
  for (std::size_t i = 0; i < load.sequences; ++i) {
    SequenceRequest request{.prompt = random_prompt(rng, load.prompt_tokens), .max_tokens = load.output_tokens};
    request.sampling.temperature = 0;
    request.sampling.ignore_eos = true;
    if (!engine.submit(std::move(request), counter)) std::abort();
  }
  const std::size_t made = counter->wait(load.sequences);
  meter.report("engine " + name, made + (load.output_tokens <= 1 ? load.sequences * load.prompt_tokens : 0));
}

/// Prompts one after the other in chunks, then all sequences a token a step.
void run_bare(llamacpp::Context& context, std::uint32_t chunk, const Load& load, const std::string& name) {
  Rng rng{load.sequences * 1'000 + load.prompt_tokens};
  std::vector<TokenId> next(load.sequences);
  const Meter meter;
  std::size_t made = 0;
  for (std::uint32_t slot = 0; slot < load.sequences; ++slot) {
    const auto prompt = random_prompt(rng, load.prompt_tokens);
    for (std::size_t at = 0; at < prompt.size(); at += chunk) {
      std::vector<llamacpp::BatchRow> rows;
      for (std::size_t i = at; i < std::min(prompt.size(), at + chunk); ++i) {
        rows.push_back({prompt[i], static_cast<std::uint32_t>(i), slot, i + 1 == prompt.size()});
      }
      if (!context.decode(rows)) std::abort();
      if (at + chunk >= prompt.size()) next[slot] = engine::argmax(context.logits(rows.size() - 1)).value_or(0);
    }
    ++made;
  }
  for (std::uint32_t step = 1; step < load.output_tokens; ++step) {
    std::vector<llamacpp::BatchRow> rows;
    for (std::uint32_t slot = 0; slot < load.sequences; ++slot) {
      rows.push_back({next[slot], static_cast<std::uint32_t>(load.prompt_tokens) + step - 1, slot, true});
    }
    if (!context.decode(rows)) std::abort();
    for (std::size_t slot = 0; slot < rows.size(); ++slot)
      next[slot] = engine::argmax(context.logits(slot)).value_or(0);
    made += rows.size();
  }
  context.clear_all();
  meter.report("bare   " + name, made + (load.output_tokens <= 1 ? load.sequences * load.prompt_tokens : 0));
}

void measure_blocks(llamacpp::Context& context) {
  constexpr std::uint32_t kBlock = 32;
  Rng rng{1};
  const auto prompt = random_prompt(rng, 512);
  std::vector<llamacpp::BatchRow> rows;
  for (std::uint32_t i = 0; i < 512; ++i) rows.push_back({prompt[i], i, 0, false});
  if (!context.decode(rows)) std::abort();
  std::vector<std::vector<std::byte>> blocks(16, std::vector<std::byte>(kBlock * context.bytes_per_token()));
  constexpr int kRounds = 20;
  const double before_export = cpu_seconds();
  for (int round = 0; round < kRounds; ++round) {
    for (std::uint32_t i = 0; i < blocks.size(); ++i) {
      if (!context.export_tokens(0, i * kBlock, kBlock, blocks[i])) std::abort();
    }
  }
  const double before_import = cpu_seconds();
  const std::vector<std::span<const std::byte>> views{blocks.begin(), blocks.end()};
  for (int round = 0; round < kRounds; ++round) {
    context.clear(1);
    if (!context.import_blocks(1, views, kBlock)) std::abort();
  }
  const double end = cpu_seconds();
  const double count = kRounds * static_cast<double>(blocks.size());
  const double gigabytes = static_cast<double>(blocks[0].size()) * 1e-9;
  fmt::print("block of {} tokens, {} bytes: export {:.0f} us ({:.1f} GB/s), import {:.0f} us ({:.1f} GB/s), CPU\n",
             kBlock, blocks[0].size(), (before_import - before_export) / count * 1e6,
             gigabytes * count / (before_import - before_export), (end - before_import) / count * 1e6,
             gigabytes * count / (end - before_import));
  context.clear_all();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print("usage: llmd-engine_bench MODEL [THREADS] [STEP_TOKENS]\n");
    return 2;
  }
  const auto number = [&](int at, std::uint32_t otherwise) {
    return argc > at ? static_cast<std::uint32_t>(std::strtoul(argv[at], nullptr, 10)) : otherwise;
  };
  const std::uint32_t step_tokens = number(3, EngineOptions{}.step_tokens);
  const Load prefill{4, 500, 1};
  const std::vector<Load> decodes{{1, 16, 64}, {8, 16, 64}, {32, 16, 64}, {64, 16, 64}};

  const auto started = std::chrono::steady_clock::now();
  auto engine = LlamaEngine::make({.model = {.path = argv[1]}, .threads = number(2, 0), .step_tokens = step_tokens});
  if (!engine) {
    fmt::print("{}\n", engine.error().to_string());
    return 1;
  }
  fmt::print("ready in {:.2f} s, {} slots, KV {} MiB\n",
             std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count(),
             (*engine)->info().sequences_max, (*engine)->info().kv_bytes >> 20U);
  run_engine(**engine, prefill, "prefill 4 x 500");
  for (const Load& load : decodes) run_engine(**engine, load, fmt::format("{} sequences", load.sequences));
  const auto model = (*engine)->model();
  engine->reset();

  auto threads = llamacpp::ThreadPool::make(number(2, std::max(1U, std::thread::hardware_concurrency())));
  auto context = llamacpp::Context::make(model, **threads, {.slots = 64, .slot_tokens = 512});
  if (!context) return 1;
  run_bare(**context, step_tokens, prefill, "prefill 4 x 500");
  for (const Load& load : decodes) run_bare(**context, step_tokens, load, fmt::format("{} sequences", load.sequences));
  measure_blocks(**context);
  return 0;
}
