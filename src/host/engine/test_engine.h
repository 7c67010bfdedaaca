#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/llama_engine.h"
#include "llamacpp/test_model.h"
#include "llamacpp/vocab.h"

namespace llmd {

/// All that one sequence gave. For tests only.
struct Answer {
  std::string text;
  std::vector<TokenId> tokens;
  std::vector<TokenOutput> outputs;
  std::vector<TokenLogprobs> logprobs;  // of all outputs
  std::vector<std::optional<TokenLogprobs>> prompt_logprobs;
  std::vector<float> embedding;
  std::optional<FinishReason> finish;
  std::optional<Error> error;
  std::optional<std::string> stop_string;
  SequenceUsage usage;
  SequenceTimes times;
  std::size_t events = 0;
};

/// Collects answers by sequence; waits have deadlines. For tests only.
class Collector final : public SequenceSink {
 public:
  void on_events(std::vector<SequenceEvent>&& events) override {
    const std::lock_guard lock{mutex_};
    for (SequenceEvent& event : events) add(std::move(event));
    changed_.notify_all();
  }
  /// The finished answer; a test failure and what there is if it does not end in time.
  Answer wait(SequenceId id) {
    return wait_for(id, [](const Answer& answer) { return answer.finish.has_value(); });
  }
  Answer wait_for(SequenceId id, const std::function<bool(const Answer&)>& ready) {
    std::unique_lock lock{mutex_};
    const bool in_time = changed_.wait_for(lock, std::chrono::seconds{60}, [&] { return ready(answers_[id]); });
    EXPECT_TRUE(in_time) << "sequence " << id.value << " does not get there";
    return answers_[id];
  }

 private:
  void add(SequenceEvent&& event) {
    Answer& answer = answers_[event.sequence];
    EXPECT_FALSE(answer.finish.has_value()) << "an event after the finishing one";
    ++answer.events;
    for (TokenOutput& output : event.tokens) {
      answer.text += output.text;
      if (output.token >= 0) answer.tokens.push_back(output.token);
      answer.logprobs.insert(answer.logprobs.end(), output.logprobs.begin(), output.logprobs.end());
      answer.outputs.push_back(std::move(output));
    }
    if (!event.prompt_logprobs.empty()) answer.prompt_logprobs = std::move(event.prompt_logprobs);
    if (!event.embedding.empty()) answer.embedding = std::move(event.embedding);
    answer.finish = event.finish;
    answer.error = std::move(event.error);
    answer.stop_string = std::move(event.stop_string);
    answer.usage = event.usage;
    answer.times = event.times;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<SequenceId, Answer> answers_;
};

/// Small memory, one thread: tests share the machine.
inline EngineOptions test_options() {
  return {.model = {.path = llamacpp::test_model_path()},
          .threads = 1,
          .kv_bytes = 160ULL << 20U,
          .store_bytes = 256ULL << 20U,
          .block_tokens = 16,
          .context_tokens = 2'048,
          .sequences_max = 16};
}

inline std::unique_ptr<LlamaEngine> make_engine(const EngineOptions& options = test_options()) {
  auto made = LlamaEngine::make(options);
  if (!made) throw std::runtime_error{made.error().to_string()};
  return std::move(*made);
}

inline std::vector<TokenId> encode(const LlamaEngine& engine, const std::string& text) {
  return llamacpp::Vocab{engine.model()}.encode(text, {.add_special = true, .parse_special = true});
}

/// Greedy, a few tokens.
inline SequenceRequest greedy(std::vector<TokenId> prompt, std::uint32_t max_tokens = 12) {
  SequenceRequest request{.request_id = "test", .prompt = std::move(prompt), .max_tokens = max_tokens};
  request.sampling.temperature = 0;
  return request;
}

inline Answer run(LlamaEngine& engine, SequenceRequest request) {
  auto sink = std::make_shared<Collector>();
  const auto id = engine.submit(std::move(request), sink);
  if (!id) {
    ADD_FAILURE() << id.error().to_string();
    return {};
  }
  return sink->wait(*id);
}

}  // namespace llmd
