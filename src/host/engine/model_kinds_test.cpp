#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/test_engine.h"
#include "llamacpp/testing/tiny_model.h"

namespace llmd {
namespace {

using llamacpp::testing::TinyKind;

/// A tiny model in a file of its own, for the life of the object.
class TinyModel {
 public:
  explicit TinyModel(TinyKind kind)
      : path_{std::filesystem::temp_directory_path() / ("llmd_tiny_" + std::to_string(::getpid()) + ".gguf")} {
    const auto written = llamacpp::testing::write_tiny_model(kind, llamacpp::test_model_path(), path_.string());
    EXPECT_TRUE(written) << written.error().to_string();
  }
  ~TinyModel() { std::filesystem::remove(path_); }
  TinyModel(const TinyModel&) = delete;
  TinyModel& operator=(const TinyModel&) = delete;

  [[nodiscard]] EngineOptions options() const {
    EngineOptions options = test_options();
    options.model.path = path_.string();
    options.context_tokens = 0;
    return options;
  }

 private:
  std::filesystem::path path_;
};

std::vector<TokenId> counting_prompt(TokenId from, std::size_t tokens) {
  std::vector<TokenId> prompt;
  for (std::size_t i = 0; i < tokens; ++i) prompt.push_back(from + static_cast<TokenId>(i * 7));
  return prompt;
}

TEST(ModelKinds, RecurrentAndSlidingWindowModelsAreServedWithoutBlockReuse) {
  for (const TinyKind kind : {TinyKind::kRecurrent, TinyKind::kSlidingWindow}) {
    SCOPED_TRACE(testing::Message() << "kind " << static_cast<int>(kind));
    const TinyModel model{kind};
    auto engine = make_engine(model.options());
    EXPECT_FALSE(engine->load().block_reuse);
    EXPECT_EQ(engine->block_store(), nullptr);
    EXPECT_TRUE(engine->block_ids(counting_prompt(5, 100), "").empty());
    const Answer alone = run(*engine, greedy(counting_prompt(5, 150), 20));
    EXPECT_EQ(alone.tokens.size(), 20U);
    auto sink = std::make_shared<Collector>();
    std::vector<SequenceId> ids;
    for (int i = 0; i < 6; ++i) ids.push_back(engine->submit(greedy(counting_prompt(5 + i, 150), 20), sink).value());
    EXPECT_EQ(sink->wait(ids[0]).tokens, alone.tokens);
    for (const SequenceId id : ids) EXPECT_EQ(sink->wait(id).usage.cached_tokens, 0U);
  }
}

TEST(ModelKinds, APreemptedSequenceWithoutBlocksIsComputedAgain) {
  const TinyModel model{TinyKind::kSlidingWindow};
  EngineOptions options = model.options();
  options.sequences_max = 1;
  auto engine = make_engine(options);
  SequenceRequest request = greedy(counting_prompt(9, 100), 300);
  request.sampling.ignore_eos = true;
  const Answer alone = run(*engine, request);
  auto sink = std::make_shared<Collector>();
  const SequenceId low = engine->submit(request, sink).value();
  static_cast<void>(sink->wait_for(low, [](const Answer& answer) { return answer.tokens.size() >= 10; }));
  SequenceRequest urgent = greedy(counting_prompt(3, 10), 2);
  urgent.priority = 1;
  static_cast<void>(sink->wait(engine->submit(std::move(urgent), sink).value()));
  EXPECT_EQ(sink->wait(low).tokens, alone.tokens);
}

TEST(ModelKinds, AnEmbeddingModelEmbedsAndRefusesToGenerate) {
  const TinyModel model{TinyKind::kEmbedding};
  auto engine = make_engine(model.options());
  EXPECT_TRUE(engine->info().embeddings);
  SequenceRequest request = greedy(counting_prompt(5, 40));
  request.embed = true;
  const Answer answer = run(*engine, request);
  EXPECT_EQ(answer.embedding.size(), 32U);
  EXPECT_EQ(run(*engine, request).embedding, answer.embedding);
  const auto refused = engine->submit(greedy(counting_prompt(5, 40)), std::make_shared<Collector>());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  SequenceRequest long_one = greedy(counting_prompt(5, 513));
  long_one.embed = true;
  const auto too_long = engine->submit(std::move(long_one), std::make_shared<Collector>());
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, ErrorCode::kContextLengthExceeded);
}

}  // namespace
}  // namespace llmd
