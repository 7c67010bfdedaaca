#include "apps/gateway/request_log.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace llmd::gateway {
namespace {

LoggedRequest request(std::vector<std::uint64_t> hashes, std::uint32_t prompt_tokens) {
  LoggedRequest made;
  made.arrived = SteadyClock::now();
  made.facts.model = "m";
  made.facts.prefix = {.hashes = std::move(hashes), .block_tokens = 64};
  made.facts.prompt_tokens = prompt_tokens;
  made.facts.prompt_tokens_exact = true;
  made.outcome = {.endpoint = "http://a:1",
                  .status = 200,
                  .ttft = microseconds{12'345},
                  .total = milliseconds{100},
                  .prompt_tokens = prompt_tokens,
                  .cached_tokens = 64,
                  .completion_tokens = 9};
  return made;
}

LoggedRequest estimated(std::vector<std::uint64_t> hashes, std::uint32_t estimate, std::uint32_t real) {
  LoggedRequest made = request(std::move(hashes), estimate);
  made.facts.prompt_tokens_exact = false;
  made.outcome.prompt_tokens = real;
  return made;
}

/// The ids of a list in a line.
std::vector<std::string> ids(const std::string& line, const std::string& key) {
  const std::size_t begin = line.find('[', line.find("\"" + key + "\":")) + 1;
  std::vector<std::string> all;
  std::string id;
  for (const char c : line.substr(begin, line.find(']', begin) - begin) + ",") {
    if (c != ',') {
      id += c;
    } else if (!id.empty()) {
      all.push_back(std::exchange(id, {}));
    }
  }
  return all;
}

std::string line_of(LogLines& lines, const LoggedRequest& request) {
  std::string out;
  lines.append(request, out);
  EXPECT_TRUE(out.ends_with("}\n"));
  return out;
}

TEST(LogLines, SayWhatARequestWasAndGot) {
  LogLines lines{Digest256{}, SteadyClock::now()};
  LoggedRequest asked = request({1, 2, 3}, 150);
  asked.facts.priority = -3;
  asked.facts.slo_ttft_ms = 250.0F;
  asked.session = "chat of Anna";
  asked.arrived += seconds{5};
  const std::string line = line_of(lines, asked);
  for (const std::string_view part :
       {R"("input_length":150,"output_length":9,)", R"("block_tokens":64,)", R"("model":"m","counted":"exact",)",
        R"("priority":-3,"slo_ttft_ms":250,)", R"("endpoint":"http://a:1","status":200,"retries":0,"ttft_ms":12.35,)",
        R"("e2e_ms":100,"cached_tokens":64})"}) {
    EXPECT_NE(line.find(part), std::string::npos) << part << " in " << line;
  }
  EXPECT_TRUE(line.starts_with("{\"timestamp\":5")) << line;
  EXPECT_EQ(line.find("Anna"), std::string::npos);
  EXPECT_EQ(ids(line, "hash_ids").size(), 1U);
  EXPECT_EQ(ids(line, "block_ids").size(), 2U) << "the third is not whole";
}

TEST(LogLines, KeepWhichPromptsBeginAlikeAndNothingElse) {
  LogLines lines{Digest256{1}, SteadyClock::now()};
  LogLines others{Digest256{2}, SteadyClock::now()};
  const auto first = ids(line_of(lines, request({11, 12, 13}, 192)), "block_ids");
  const auto second = ids(line_of(lines, request({11, 12, 99}, 192)), "block_ids");
  const auto elsewhere = ids(line_of(others, request({11, 12, 13}, 192)), "block_ids");
  ASSERT_EQ(first.size(), 3U);
  EXPECT_EQ(first[0], second[0]);
  EXPECT_EQ(first[1], second[1]);
  EXPECT_NE(first[2], second[2]);
  EXPECT_NE(first[0], elsewhere[0]) << "another salt, another name";
  for (const std::string& id : first) EXPECT_LT(std::stoull(id), 1ULL << 53);
}

TEST(LogLines, CountTheEnginesTokensThoughTheGatewayEstimates) {
  LogLines lines{Digest256{}, SteadyClock::now()};
  const auto four = ids(line_of(lines, estimated({1, 2, 3, 4, 5, 6}, 384, 256)), "block_ids");
  ASSERT_EQ(four.size(), 4U) << "256 tokens of the engine";
  const auto three = ids(line_of(lines, estimated({1, 2, 3, 7, 8}, 320, 200)), "block_ids");
  ASSERT_EQ(three.size(), 3U);
  EXPECT_EQ(three[0], four[0]) << "two of the estimated blocks";
  EXPECT_EQ(three[1], four[1]) << "three of them";
  EXPECT_NE(three[2], four[2]);
}

TEST(LogLines, GiveBlocksBeyondTheKnownChainNamesOfTheirOwn) {
  LogLines lines{Digest256{}, SteadyClock::now()};
  LoggedRequest cut = request({1, 2}, 1'024);
  cut.facts.prefix.whole_blocks = true;
  const auto once = ids(line_of(lines, cut), "block_ids");
  const auto again = ids(line_of(lines, cut), "block_ids");
  ASSERT_EQ(once.size(), 16U);
  EXPECT_EQ(once[1], again[1]);
  EXPECT_NE(once[2], again[2]);
  EXPECT_EQ(std::set<std::string>(once.begin(), once.end()).size(), once.size());
  const std::string none = line_of(lines, request({}, 0));
  EXPECT_TRUE(ids(none, "block_ids").empty());
  EXPECT_EQ(ids(none, "hash_ids").size(), 1U);
}

TEST(LogLines, TakeAPromptOfWhichTheGatewayKnowsNothing) {
  LogLines lines{Digest256{}, SteadyClock::now()};
  const auto once = ids(line_of(lines, estimated({}, 0, 300)), "block_ids");
  const auto again = ids(line_of(lines, estimated({}, 0, 300)), "block_ids");
  EXPECT_EQ(once.size(), again.size());
  EXPECT_NE(once, again);
  LoggedRequest exact = request({}, 0);
  exact.outcome.prompt_tokens = 300;
  EXPECT_EQ(ids(line_of(lines, exact), "hash_ids").size(), 1U);
}

TEST(LogLines, DoNotLetOneOddPromptPlaceTheBlocksOfItsModel) {
  LogLines lines{Digest256{}, SteadyClock::now()};
  const auto usual = [&] { return ids(line_of(lines, estimated({1, 2, 3, 4, 5, 6, 7, 8}, 512, 512)), "block_ids"); };
  (void)line_of(lines, estimated(std::vector<std::uint64_t>(2'000), 128'000, 256));  // a picture as base64
  const auto first = usual();
  EXPECT_EQ(std::set<std::string>(first.begin(), first.end()).size(), 8U);
  (void)usual();
  (void)line_of(lines, estimated({1, 2, 3, 4, 5, 6, 7, 8}, 512, 256));  // many digits, maybe
  EXPECT_EQ(usual(), first) << "one is outvoted";
  LogLines begun_oddly{Digest256{}, SteadyClock::now()};
  for (const std::uint32_t real : {2'048U, 512U, 512U})
    (void)line_of(begun_oddly, estimated({1, 2, 3, 4, 5, 6, 7, 8}, 512, real));
  EXPECT_EQ(ids(line_of(begun_oddly, estimated({1, 2, 3, 4, 5, 6, 7, 8}, 512, 512)), "block_ids"), first);
}

TEST(LogLines, WriteNamesThatTheReaderTakes) {
  LogLines lines{Digest256{}, SteadyClock::now()};
  LoggedRequest odd = request({}, 0);
  odd.facts.model.assign(5'000, '\x01');
  const std::string line = line_of(lines, odd);
  const std::size_t begin = line.find("\"model\":\"") + 9;
  EXPECT_LE(line.find('"', begin) - begin, 6'144U) << "simulation's recorded_row takes so many";
}

TEST(LoggedRequest, CountsAllThatARequestBrings) {
  const std::size_t bare = bytes_of(request({}, 0));
  LoggedRequest large = request(std::vector<std::uint64_t>(10), 0);
  large.facts.headers.assign(3, {std::string(100, 'n'), std::string(900, 'v')});
  large.facts.media.resize(50);
  large.outcome.prefill_endpoint.assign(200, 'p');
  EXPECT_GE(bytes_of(large), bare + 10 * 8 + 3 * 1'000 + 50 * sizeof(MediaItem) + 200);
}

class RequestLogTest : public testing::Test {
 protected:
  RequestLogTest() { std::filesystem::create_directory(folder_); }
  ~RequestLogTest() override { std::filesystem::remove_all(folder_); }

  static std::vector<std::string> lines_of(const std::string& path) {
    std::ifstream file{path};
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  static bool comes_true(const std::function<bool()>& wanted) {
    const TimePoint deadline = SteadyClock::now() + seconds{20};
    while (!wanted() && SteadyClock::now() < deadline) std::this_thread::yield();
    return wanted();
  }
  double counted(const std::string& result) {
    return metrics_.counter("llmd_gateway_recorded_requests_total", "", {{"result", result}}).value();
  }

  const std::string folder_ = testing::TempDir() + "request-log-" + std::to_string(::getpid());
  const std::string path_ = folder_ + "/log.jsonl";
  MetricsRegistry metrics_;
};

TEST_F(RequestLogTest, WritesEachRequestAndKeepsTheFileBefore) {
  for (int run = 0; run < 2; ++run) {
    auto log = RequestLog::open({.path = path_}, metrics_);
    ASSERT_TRUE(log) << log.error().to_string();
    for (int i = 0; i <= run; ++i) (*log)->add(request({1}, 64));
  }
  EXPECT_EQ(lines_of(path_).size(), 2U);
  EXPECT_EQ(lines_of(path_ + ".1").size(), 1U);
  EXPECT_EQ(counted("written"), 3);
  struct ::stat about{};
  ASSERT_EQ(::stat(path_.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
}

TEST_F(RequestLogTest, TurnsTheFileBeforeItIsTooLarge) {
  {
    auto log = RequestLog::open({.path = path_, .bytes_max = 2'000}, metrics_);
    ASSERT_TRUE(log);
    for (int i = 0; i < 50; ++i) (*log)->add(request({1}, 64));
  }
  EXPECT_EQ(counted("written"), 50);
  EXPECT_LE(std::filesystem::file_size(path_), 1'000U);
  EXPECT_LE(std::filesystem::file_size(path_ + ".1"), 1'000U);
  EXPECT_GT(std::filesystem::file_size(path_ + ".1"), 500U);
}

TEST_F(RequestLogTest, DropsAndCountsWhatTheQueueHasNoRoomFor) {
  {
    auto log = RequestLog::open({.path = path_, .queued_bytes_max = 10}, metrics_);
    ASSERT_TRUE(log);
    (*log)->add(request({1}, 64));
  }
  EXPECT_EQ(counted("dropped"), 1);
  EXPECT_EQ(counted("written"), 0);
}

TEST_F(RequestLogTest, LeavesNoPartOfALineWhenTheDiskIsFull) {
  struct ::rlimit usual{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &usual), 0);
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  {
    auto log = RequestLog::open({.path = path_, .retry_after = Duration::zero()}, metrics_);
    ASSERT_TRUE(log);
    struct ::rlimit full = usual;
    full.rlim_cur = 1'000;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
    for (int i = 0; i < 20; ++i) (*log)->add(request({1}, 64));
    EXPECT_TRUE(comes_true([&] { return counted("written") + counted("dropped") == 20; }));
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &usual), 0);
    EXPECT_GT(counted("dropped"), 0);
    for (int i = 0; i < 3; ++i) (*log)->add(request({1}, 64));
  }
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(counted("written") + counted("dropped"), 23);
  const std::vector<std::string> lines = lines_of(path_);
  EXPECT_EQ(static_cast<double>(lines.size()), counted("written"));
  EXPECT_GE(lines.size(), 3U);
  for (const std::string& line : lines) {
    EXPECT_TRUE(line.starts_with("{\"timestamp\":") && line.ends_with('}')) << line;
    EXPECT_EQ(line.rfind("{\"timestamp\":"), 0U) << line;
  }
}

TEST_F(RequestLogTest, TriesANewFileOnlyNowAndThen) {
  for (const Duration retry_after : {Duration{std::chrono::hours{1}}, Duration::zero()}) {
    SCOPED_TRACE(to_seconds(retry_after));
    std::filesystem::create_directories(path_ + ".1/in-the-way");
    MetricsRegistry metrics;
    const auto count = [&](const char* result) {
      return metrics.counter("llmd_gateway_recorded_requests_total", "", {{"result", result}}).value();
    };
    auto log = RequestLog::open({.path = path_, .bytes_max = 2'000, .retry_after = retry_after}, metrics);
    ASSERT_TRUE(log) << log.error().to_string();
    for (int i = 0; i < 20; ++i) (*log)->add(request({1}, 64));
    EXPECT_TRUE(comes_true([&] { return count("written") + count("dropped") == 20; }));
    EXPECT_GT(count("dropped"), 5);
    const double before = count("written");
    std::filesystem::remove_all(path_ + ".1");
    (*log)->add(request({1}, 64));
    log->reset();
    EXPECT_EQ(count("written") - before, retry_after == Duration::zero() ? 1 : 0);
    std::filesystem::remove(path_);
  }
}

TEST_F(RequestLogTest, RefusesWhatIsNoFile) {
  for (const std::string& path : {folder_, folder_ + "/none/log.jsonl", std::string{"/dev/null"}}) {
    const auto log = RequestLog::open({.path = path}, metrics_);
    ASSERT_FALSE(log) << path;
    EXPECT_EQ(log.error().code, ErrorCode::kIo) << path;
  }
}

}  // namespace
}  // namespace llmd::gateway
