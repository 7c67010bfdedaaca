#include "scheduling/abi_plugin.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsNan;
using testing::kNow;
using testing::PluginScene;

/// What the functions of the tables below do, and what they saw. The tables are C: they have no place for it.
struct Script {
  std::vector<float> scores{};       // written as they are, beyond the candidates, too
  std::vector<std::uint8_t> keep{};  // the same
  Duration takes{};
  std::string reason{};
  std::string create_error{};  // empty: it makes an instance
  // Seen:
  std::string parameters{};
  int created = 0;
  int destroyed = 0;
  void (*look)(const llmd_input_v1&, std::span<const std::uint32_t>) = nullptr;
};

// NOLINTBEGIN(cppcoreguidelines-avoid-non-const-global-variables)
Script script;
ManualClock clock_now;
// NOLINTEND(cppcoreguidelines-avoid-non-const-global-variables)

void* create(const char* parameters_json, char* error, std::size_t error_size) {
  script.parameters = parameters_json;
  if (!script.create_error.empty()) {
    std::snprintf(error, error_size, "%s", script.create_error.c_str());
    return nullptr;
  }
  ++script.created;
  return &script;
}
void destroy(void* instance) {
  EXPECT_EQ(instance, &script);
  ++script.destroyed;
}
void score(void* instance, const llmd_input_v1* input, const std::uint32_t* candidates, std::size_t count,
           float* scores) {
  EXPECT_EQ(instance, &script);
  if (script.look != nullptr) script.look(*input, {candidates, count});
  std::ranges::copy(script.scores, scores);
  clock_now.advance(script.takes);
}
void filter(void* instance, const llmd_input_v1* input, const std::uint32_t* candidates, std::size_t count,
            std::uint8_t* keep) {
  EXPECT_EQ(instance, &script);
  if (script.look != nullptr) script.look(*input, {candidates, count});
  std::ranges::copy(script.keep, keep);
  clock_now.advance(script.takes);
}
void reason(void* instance, const llmd_input_v1* input, std::uint32_t endpoint, char* text, std::size_t text_size) {
  EXPECT_EQ(instance, &script);
  std::snprintf(text, text_size, "%s%s", input->endpoints[endpoint]->name, script.reason.c_str());
}

constexpr const char* kHeaders[] = {"X-Tenant", nullptr};
constexpr std::uint32_t kReadsAll = LLMD_READS_WAITING | LLMD_READS_RUNNING | LLMD_READS_KV_USAGE |
                                    LLMD_READS_PREFIX_MATCH | LLMD_READS_INFLIGHT | LLMD_READS_SIGNALS |
                                    LLMD_READS_PREDICTIONS | LLMD_READS_MEDIA;

llmd_plugin_v1 scorer_table() {
  return {.abi_version = LLMD_PLUGIN_ABI_VERSION,
          .struct_size = sizeof(llmd_plugin_v1),
          .kind = LLMD_PLUGIN_SCORER,
          .reads = kReadsAll,
          .type = "test-scorer",
          .headers_read = kHeaders,
          .create = create,
          .destroy = destroy,
          .score = score,
          .filter = nullptr,
          .reason = nullptr};
}

llmd_plugin_v1 filter_table() {
  llmd_plugin_v1 table = scorer_table();
  table.kind = LLMD_PLUGIN_FILTER;
  table.type = "test-filter";
  table.score = nullptr;
  table.filter = filter;
  table.reason = reason;
  return table;
}

class AbiPluginTest : public ::testing::Test {
 public:
  void SetUp() override { script = Script{}; }

  static AbiPlugin made(const llmd_plugin_v1& table, AbiPluginOptions options = {}) {
    return make_abi_plugin(&table, std::move(options), clock_now).value();
  }
  static std::string refusal(const llmd_plugin_v1& table) {
    const auto plugin = make_abi_plugin(&table, {}, clock_now);
    return plugin ? std::string{} : plugin.error().what;
  }

  PluginScene scene{{{.name = "a"}, {.name = "b"}, {.name = "c"}}};
};

TEST_F(AbiPluginTest, MakesAndEndsAnInstanceWithItsParameters) {
  auto library = std::make_shared<const int>(0);
  const std::weak_ptr<const int> loaded = library;
  {
    const AbiPlugin plugin = made(scorer_table(), {.parameters_json = R"({"k":1})", .library = std::move(library)});
    EXPECT_EQ(plugin.type, "test-scorer");
    EXPECT_EQ(plugin.objects.filter, nullptr);
    EXPECT_EQ(script.parameters, R"({"k":1})");
    EXPECT_FALSE(loaded.expired());
    EXPECT_EQ(script.destroyed, 0);
    std::vector<std::string> headers;
    plugin.objects.scorer->headers_read(headers);
    EXPECT_THAT(headers, ElementsAre("x-tenant"));
  }
  EXPECT_EQ(script.created, 1);
  EXPECT_EQ(script.destroyed, 1);
  EXPECT_TRUE(loaded.expired());
}

TEST_F(AbiPluginTest, HandsOverWhatIsKnownOfTheRequest) {
  scene.request = {.request_id = "r1",
                   .model = "m",
                   .prefix = {.hashes = {1, 2, 3}, .block_tokens = 64},
                   .prompt_tokens = 200,
                   .output_tokens_max = 50,
                   .priority = -2,
                   .streaming = true,
                   .slo_ttft_ms = 400.0F,
                   .media = {{.hash = 1, .weight = 5}},
                   .headers = {{"x-tenant", "t1"}}};
  scene.chance = 0.25;
  script.look = [](const llmd_input_v1& input, std::span<const std::uint32_t> /*candidates*/) {
    EXPECT_EQ(input.struct_size, sizeof(llmd_input_v1));
    EXPECT_EQ(input.request_size, sizeof(llmd_request_v1));
    EXPECT_EQ(input.chance, 0.25);
    const llmd_request_v1& request = *input.request;
    EXPECT_STREQ(request.request_id, "r1");
    EXPECT_STREQ(request.model, "m");
    EXPECT_EQ(request.prompt_tokens, 200U);
    EXPECT_EQ(request.output_tokens_max, 50U);
    EXPECT_EQ(request.prefix_blocks, 3U);
    EXPECT_EQ(request.prefix_block_tokens, 64U);
    EXPECT_EQ(request.media_items, 1U);
    EXPECT_EQ(request.priority, -2);
    EXPECT_EQ(request.slo_ttft_ms, 400.0F);
    EXPECT_THAT(request.slo_tpot_ms, IsNan());
    EXPECT_EQ(request.prompt_tokens_exact, 0);
    EXPECT_EQ(request.streaming, 1);
    EXPECT_STREQ(input.header(&input, "x-tenant"), "t1");
    EXPECT_EQ(input.header(&input, "x-other"), nullptr);
    EXPECT_EQ(input.header(&input, nullptr), nullptr);
  };
  const AbiPlugin plugin = made(scorer_table());
  (void)scene.scores(*plugin.objects.scorer);
  EXPECT_EQ(plugin.counters->calls.load(), 1U);
}

TEST_F(AbiPluginTest, HandsOverWhatIsKnownOfCandidatesAndPeer) {
  PluginScene full{{{.name = "a"},
                    {.name = "b",
                     .health = EndpointHealth::kReady,
                     .waiting = 3,
                     .running = 4,
                     .kv_usage = 0.5F,
                     .inflight = 6,
                     .labels = {{"tier", "gold"}},
                     .inflight_tokens = 700},
                    {.name = "c", .waiting = 1, .metric_age = seconds{3}}}};
  full.snapshot.endpoints[1].kv_blocks = {100, kNow};
  full.snapshot.endpoints[1].kv_block_tokens = {16, kNow};
  full.set_signal(1, Signal::kReadySeconds, 12);
  full.set_signal(2, Signal::kCpuUse, 0.5F, seconds{3});
  full.matched_blocks = {0, 2, 0};
  full.predictions = {{}, {.known = true, .ttft_ms = 90, .tpot_ms = 9}, {}};
  full.media_matched = {0, 5, 0};
  full.candidates = {1, 2};
  full.peer = 0;
  script.look = [](const llmd_input_v1& input, std::span<const std::uint32_t> candidates) {
    EXPECT_THAT(candidates, ElementsAre(1, 2));
    EXPECT_EQ(input.endpoint_size, sizeof(llmd_endpoint_v1));
    EXPECT_EQ(input.signals_count, kSignals);
    EXPECT_EQ(input.endpoints_count, 3U);
    EXPECT_EQ(input.peer, 0U);
    EXPECT_STREQ(input.endpoints[0]->name, "a");
    const llmd_endpoint_v1& b = *input.endpoints[1];
    EXPECT_STREQ(b.name, "b");
    EXPECT_STREQ(b.url, "http://b");
    EXPECT_EQ(b.health, LLMD_HEALTH_READY);
    EXPECT_THAT((std::vector{b.waiting_requests, b.running_requests, b.kv_usage, b.kv_blocks, b.kv_block_tokens}),
                ElementsAre(3.0F, 4.0F, 0.5F, 100.0F, 16.0F));
    EXPECT_THAT((std::vector{b.predicted_ttft_ms, b.predicted_tpot_ms, b.media_matched}),
                ElementsAre(90.0F, 9.0F, 5.0F));
    EXPECT_EQ(b.inflight_requests, 6U);
    EXPECT_EQ(b.inflight_tokens, 700U);
    EXPECT_EQ(b.matched_blocks, 2U);
    ASSERT_NE(b.signals, nullptr);
    EXPECT_EQ(b.signals[LLMD_SIGNAL_READY_SECONDS], 12.0F);
    EXPECT_THAT(b.signals[LLMD_SIGNAL_CPU_USE], IsNan());
    EXPECT_STREQ(input.label(&input, 1, "tier"), "gold");
    EXPECT_EQ(input.label(&input, 2, "tier"), nullptr);
    EXPECT_EQ(input.label(&input, 3, "tier"), nullptr);
    EXPECT_EQ(input.label(&input, 1, nullptr), nullptr);
    const llmd_endpoint_v1& c = *input.endpoints[2];  // all that it told is too old
    EXPECT_THAT((std::vector{c.waiting_requests, c.signals[LLMD_SIGNAL_CPU_USE], c.predicted_ttft_ms}), Each(IsNan()));
  };
  script.scores = {0.25F, 0.75F};
  EXPECT_THAT(full.scores(*made(scorer_table()).objects.scorer), ElementsAre(0.25F, 0.75F));
}

TEST_F(AbiPluginTest, HandsOverOnlyWhatTheTableReads) {
  PluginScene told{{{.name = "a", .waiting = 3, .kv_usage = 0.5F, .inflight = 6}, {.name = "b"}}};
  told.set_signal(0, Signal::kCpuUse, 0.5F);
  told.candidates = {0};
  llmd_plugin_v1 table = scorer_table();
  table.reads = LLMD_READS_WAITING;
  script.look = [](const llmd_input_v1& input, std::span<const std::uint32_t> /*candidates*/) {
    EXPECT_EQ(input.endpoints[0]->waiting_requests, 3.0F);
    EXPECT_THAT(input.endpoints[0]->kv_usage, IsNan());
    EXPECT_EQ(input.endpoints[0]->inflight_requests, 0U);
    EXPECT_EQ(input.endpoints[0]->signals, nullptr);
    EXPECT_EQ(input.endpoints[1], nullptr);  // neither a candidate nor the peer
    EXPECT_EQ(input.peer, LLMD_NO_ENDPOINT);
  };
  const AbiPlugin plugin = made(table);
  EXPECT_TRUE(plugin.objects.scorer->consumes().has(Metric::kWaiting));
  EXPECT_FALSE(plugin.objects.scorer->consumes().has(Metric::kKvUsage));
  EXPECT_THAT(told.scores(*plugin.objects.scorer), ElementsAre(IsNan()));
  EXPECT_EQ(plugin.counters->calls.load(), 1U);
}

TEST_F(AbiPluginTest, TakesScoresThatAreNoNumberAsNoData) {
  const AbiPlugin plugin = made(scorer_table());
  script.scores = {0.5F, kNoData};  // and none for c
  EXPECT_THAT(scene.scores(*plugin.objects.scorer), ElementsAre(0.5F, IsNan(), IsNan()));
  EXPECT_EQ(plugin.counters->faults.load(), 0U);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  script.scores = {kInfinity, 1.0F, -kInfinity};
  EXPECT_THAT(scene.scores(*plugin.objects.scorer), ElementsAre(IsNan(), 1.0F, IsNan()));
  EXPECT_EQ(plugin.counters->faults.load(), 1U);
  EXPECT_FALSE(plugin.counters->off.load());
}

TEST_F(AbiPluginTest, SwitchesAScorerOffThatWritesPastItsCandidates) {
  const AbiPlugin plugin = made(scorer_table());
  script.scores = {0.1F, 0.2F, 0.3F, 0.4F};
  EXPECT_THAT(scene.scores(*plugin.objects.scorer), Each(IsNan()));
  EXPECT_TRUE(plugin.counters->off.load());
  EXPECT_EQ(plugin.counters->faults.load(), 1U);
  EXPECT_THAT(scene.scores(*plugin.objects.scorer), Each(IsNan()));
  EXPECT_EQ(plugin.counters->skipped.load(), 1U);
  EXPECT_EQ(plugin.counters->calls.load(), 1U);
}

TEST_F(AbiPluginTest, SwitchesOffAfterSoManyOverruns) {
  const AbiPlugin plugin = made(scorer_table(), {.budget = microseconds{100}, .overruns_max = 3});
  script.scores = {0.1F, 0.2F, 0.3F};
  script.takes = microseconds{100};
  EXPECT_EQ(scene.scores(*plugin.objects.scorer), script.scores);
  EXPECT_EQ(plugin.counters->overruns.load(), 0U);
  script.takes = microseconds{101};
  for (std::uint64_t overruns = 1; overruns <= 3; ++overruns) {
    EXPECT_FALSE(plugin.counters->off.load());
    EXPECT_EQ(scene.scores(*plugin.objects.scorer), script.scores) << "an answer that came late still counts";
    EXPECT_EQ(plugin.counters->overruns.load(), overruns);
  }
  EXPECT_TRUE(plugin.counters->off.load());
  EXPECT_THAT(scene.scores(*plugin.objects.scorer), Each(IsNan()));
  EXPECT_EQ(plugin.counters->calls.load(), 4U);
  EXPECT_EQ(plugin.counters->skipped.load(), 1U);
}

TEST_F(AbiPluginTest, KeepsAllOnceAFilterIsOff) {
  const AbiPlugin plugin = made(filter_table(), {.budget = microseconds{100}, .overruns_max = 1});
  script.keep = {0, 1, 0};
  script.takes = seconds{1};
  EXPECT_THAT(scene.kept(*plugin.objects.filter), ElementsAre("b"));
  EXPECT_THAT(scene.kept(*plugin.objects.filter), ElementsAre("a", "b", "c"));
  EXPECT_EQ(plugin.counters->skipped.load(), 1U);
}

TEST_F(AbiPluginTest, PardonsAnOverrunEachThousandCalls) {
  const AbiPlugin plugin = made(scorer_table(), {.budget = microseconds{100}, .overruns_max = 2});
  for (int round = 0; round < 5; ++round) {
    script.takes = seconds{1};
    (void)scene.scores(*plugin.objects.scorer);
    script.takes = {};
    for (int k = 0; k < 999; ++k) (void)scene.scores(*plugin.objects.scorer);
  }
  EXPECT_EQ(plugin.counters->overruns.load(), 5U);
  EXPECT_FALSE(plugin.counters->off.load());
}

TEST_F(AbiPluginTest, NeverSwitchesOffWithoutALimit) {
  const AbiPlugin plugin = made(scorer_table(), {.overruns_max = 0});
  script.takes = seconds{1};
  for (int k = 0; k < 100; ++k) (void)scene.scores(*plugin.objects.scorer);
  EXPECT_EQ(plugin.counters->overruns.load(), 100U);
  EXPECT_FALSE(plugin.counters->off.load());
}

TEST_F(AbiPluginTest, KeepsWhatTheFilterSaysInItsOrder) {
  const AbiPlugin plugin = made(filter_table());
  EXPECT_EQ(plugin.objects.scorer, nullptr);
  const struct {
    std::vector<std::uint8_t> keep;
    std::vector<std::string> kept;
  } cases[] = {{{1, 1, 1}, {"a", "b", "c"}}, {{0, 1, 1}, {"b", "c"}}, {{1, 0, 1}, {"a", "c"}}, {{0, 0, 0}, {}}};
  for (const auto& c : cases) {
    script.keep = c.keep;
    EXPECT_EQ(scene.kept(*plugin.objects.filter), c.kept);
  }
  EXPECT_EQ(plugin.counters->faults.load(), 0U);
}

TEST_F(AbiPluginTest, KeepsAllIfAFilterSaysAnythingElse) {
  const AbiPlugin plugin = made(filter_table());
  std::uint64_t faults = 0;
  for (const auto& keep : std::vector<std::vector<std::uint8_t>>{{0, 2, 0}, {0, 0}, {}}) {
    script.keep = keep;
    EXPECT_THAT(scene.kept(*plugin.objects.filter), ElementsAre("a", "b", "c"));
    EXPECT_EQ(plugin.counters->faults.load(), ++faults);
  }
  EXPECT_FALSE(plugin.counters->off.load());
  script.keep = {0, 0, 0, 0};  // one too many
  EXPECT_THAT(scene.kept(*plugin.objects.filter), ElementsAre("a", "b", "c"));
  EXPECT_TRUE(plugin.counters->off.load());
}

TEST_F(AbiPluginTest, ExplainsWithTheFiltersOwnWords) {
  script.reason = " is\x01 too\nfar";
  EXPECT_EQ(scene.reason(*made(filter_table()).objects.filter, 1), "b is  too far");
  script.reason = std::string(2'000, 'x');
  EXPECT_EQ(scene.reason(*made(filter_table()).objects.filter, 1).size(), 511U);
  llmd_plugin_v1 silent = filter_table();
  silent.reason = nullptr;
  EXPECT_EQ(scene.reason(*made(silent).objects.filter, 1), "test-filter does not say why");
}

TEST_F(AbiPluginTest, IsNotCalledWithoutCandidates) {
  const AbiPlugin scorer = made(scorer_table());
  const AbiPlugin filter_plugin = made(filter_table());
  const PluginScene empty{{}};
  EXPECT_THAT(empty.scores(*scorer.objects.scorer), IsEmpty());
  EXPECT_THAT(empty.kept(*filter_plugin.objects.filter), IsEmpty());
  EXPECT_EQ(scorer.counters->calls.load() + filter_plugin.counters->calls.load(), 0U);
}

TEST_F(AbiPluginTest, ServesSeveralThreads) {
  static const auto rank = [](void*, const llmd_input_v1* input, const std::uint32_t* candidates, std::size_t count,
                              float* scores) {
    for (std::size_t c = 0; c < count; ++c)
      scores[c] = 1.0F / (1.0F + input->endpoints[candidates[c]]->waiting_requests);
  };
  llmd_plugin_v1 table = scorer_table();
  table.score = rank;
  const AbiPlugin plugin = made(table);
  std::vector<std::jthread> threads;
  threads.reserve(4);
  for (std::uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&plugin, t] {
      const PluginScene own{{{.name = "a", .waiting = t}, {.name = "b", .waiting = 1}}};
      for (int k = 0; k < 500; ++k) {
        EXPECT_THAT(own.scores(*plugin.objects.scorer), ElementsAre(1.0F / (1.0F + static_cast<float>(t)), 0.5F));
      }
    });
  }
  threads.clear();
  EXPECT_EQ(plugin.counters->calls.load(), 2'000U);
}

TEST_F(AbiPluginTest, RefusesTablesThatDoNotFit) {
  static const std::vector<const char*> many = [] {
    std::vector<const char*> names(33, "x-a");
    names.push_back(nullptr);
    return names;
  }();
  const struct {
    std::string_view what;
    void (*change)(llmd_plugin_v1& table);
  } cases[] = {
      {"its ABI has version 2; expected 1", [](llmd_plugin_v1& t) { t.abi_version = 2; }},
      {"its table has 8 bytes; expected at least 72", [](llmd_plugin_v1& t) { t.struct_size = 8; }},
      {"its type is not 1 to 64 of a-z, 0-9 and '-'", [](llmd_plugin_v1& t) { t.type = nullptr; }},
      {"its type is not 1 to 64 of a-z, 0-9 and '-'", [](llmd_plugin_v1& t) { t.type = ""; }},
      {"its type is not 1 to 64 of a-z, 0-9 and '-'", [](llmd_plugin_v1& t) { t.type = "Test_Scorer"; }},
      {"its type is not 1 to 64 of a-z, 0-9 and '-'",
       [](llmd_plugin_v1& t) { t.type = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; }},
      {"queue-scorer is a type of llmd's own", [](llmd_plugin_v1& t) { t.type = "queue-scorer"; }},
      {"test-scorer is of kind 3; expected 1 (scorer) or 2 (filter)", [](llmd_plugin_v1& t) { t.kind = 3; }},
      {"test-scorer has no create or no destroy", [](llmd_plugin_v1& t) { t.create = nullptr; }},
      {"test-scorer has no create or no destroy", [](llmd_plugin_v1& t) { t.destroy = nullptr; }},
      {"test-scorer is a scorer without score", [](llmd_plugin_v1& t) { t.score = nullptr; }},
      {"test-scorer is a filter without filter", [](llmd_plugin_v1& t) { t.kind = LLMD_PLUGIN_FILTER; }},
      {"test-scorer reads 0x80000020, which is not known here", [](llmd_plugin_v1& t) { t.reads |= 0x80000020U; }},
      {"test-scorer reads more than 32 headers", [](llmd_plugin_v1& t) { t.headers_read = many.data(); }},
  };
  for (const auto& c : cases) {
    llmd_plugin_v1 table = scorer_table();
    c.change(table);
    EXPECT_EQ(refusal(table), fmt::format("plugin library: {}", c.what));
  }
  EXPECT_EQ(make_abi_plugin(nullptr, {}, clock_now).error().what, "plugin library: llmd_plugin_entry returns no table");
  EXPECT_EQ(script.created, 0);
}

TEST_F(AbiPluginTest, SaysWhyThePluginRefusesItsParameters) {
  script.create_error = "weight is -1;\nexpected more";
  EXPECT_EQ(refusal(scorer_table()), "test-scorer: weight is -1; expected more");
  llmd_plugin_v1 silent = scorer_table();
  silent.create = [](const char*, char*, std::size_t) -> void* { return nullptr; };
  EXPECT_EQ(refusal(silent), "test-scorer: it refuses the parameters");
  EXPECT_EQ(script.destroyed, 0);
}

TEST_F(AbiPluginTest, AcceptsTheLongerTableOfALaterHeader) {
  struct Later {
    llmd_plugin_v1 table;
    void* more;
  } later{.table = scorer_table(), .more = nullptr};
  later.table.struct_size = sizeof(later);
  EXPECT_EQ(refusal(later.table), "");
}

/// examples/plugin, built as C and loaded as a host does.
TEST_F(AbiPluginTest, LoadsTheExample) {
  const std::shared_ptr<void> library{::dlopen(LLMD_EXAMPLE_PLUGIN, RTLD_NOW | RTLD_LOCAL), [](void* handle) {
                                        if (handle != nullptr) ::dlclose(handle);
                                      }};
  ASSERT_NE(library, nullptr) << ::dlerror();
  const auto entry = reinterpret_cast<llmd_plugin_entry_function>(::dlsym(library.get(), "llmd_plugin_entry"));
  ASSERT_NE(entry, nullptr);
  const auto plugin =
      make_abi_plugin(entry(), {.parameters_json = R"({"halfScoreRequests": 4})", .library = library}, clock_now);
  ASSERT_TRUE(plugin.has_value()) << plugin.error().to_string();
  EXPECT_EQ(plugin->type, "queue-depth-scorer");
  const PluginScene pool{{{.name = "idle", .waiting = 0},
                          {.name = "queue", .waiting = 4, .inflight = 1},
                          {.name = "ours", .waiting = 4, .inflight = 12},
                          {.name = "untold"}}};
  EXPECT_THAT(pool.scores(*plugin->objects.scorer), ElementsAre(1.0F, 0.5F, 0.25F, IsNan()));
  const auto refused = make_abi_plugin(entry(), {.parameters_json = R"({"halfScoreRequests": 0})"}, clock_now);
  EXPECT_EQ(refused.error().what,
            "queue-depth-scorer: halfScoreRequests is 0; expected a number above 0 and up to 1000000");
}

}  // namespace
}  // namespace llmd::scheduling
