#include "flags/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "flags/shared_flags.h"
#include "flags/worker_flags.h"

namespace llmd::flags {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::optional<Ending> parse_words(CLI::App& app, std::vector<const char*> words) {
  words.insert(words.begin(), "llmd test");
  return parse(app, static_cast<int>(words.size()), words.data());
}

TEST(CommandLine, EndsWithHelpOrOneLineThatNamesTheFlag) {
  CLI::App app{"Text.", "llmd test"};
  LogFlags log;
  add_log_flags(app, log);
  const auto help = parse_words(app, {"--help"});
  ASSERT_TRUE(help.has_value());
  EXPECT_EQ(help->exit_code, 0);
  EXPECT_THAT(help->text, HasSubstr("--log-level"));
  const auto wrong = parse_words(app, {"--log-level", "loud"});
  ASSERT_TRUE(wrong.has_value());
  EXPECT_EQ(wrong->exit_code, kUsageExit);
  EXPECT_EQ(wrong->text, "llmd test: --log-level: loud not in {debug,info,warn,error} (see llmd test --help)\n");
  EXPECT_EQ(parse_words(app, {"--log-level", "warn", "--log-format", "json"}), std::nullopt);
  EXPECT_EQ(log.level, log::Level::kWarn);
  EXPECT_EQ(log.format, log::Format::kJson);
}

TEST(CommandLine, PutsTheHintOfAnErrorIntoTheLine) {
  const CLI::App app{"Text.", "llmd test"};
  const Error error{.code = ErrorCode::kConfigInvalid, .what = "--x is 1", .hint = "write 2"};
  EXPECT_EQ(refusal(app, error).text, "llmd test: --x is 1; write 2 (see llmd test --help)\n");
}

TEST(SharedFlags, ReadSizesInUnitsOf1024AndRefuseWhatIsNone) {
  struct Row {
    const char* text;
    std::optional<std::uint64_t> bytes;
  };
  for (const Row& row :
       {Row{"512", 512}, Row{"2KiB", 2'048}, Row{"2kb", 2'048}, Row{"1GiB", 1ULL << 30U}, Row{"0", 0}, Row{"-1", {}},
        Row{"1.5GiB", {}}, Row{"1XB", {}}, Row{"", {}}, Row{"lots", {}}, Row{"99999999999TiB", {}}}) {
    SCOPED_TRACE(row.text);
    CLI::App app{"Text.", "llmd test"};
    std::uint64_t bytes = 0;
    as_bytes(app.add_option("--size", bytes));
    const auto ending = parse_words(app, {"--size", row.text});
    EXPECT_EQ(ending.has_value(), !row.bytes.has_value());
    if (!ending) {
      EXPECT_EQ(bytes, *row.bytes);
    }
  }
}

TEST(SharedFlags, RefuseNumbersThatAreNone) {
  for (const char* text : {"nan", "inf", "-1", "60001", "x"}) {
    SCOPED_TRACE(text);
    CLI::App app{"Text.", "llmd test"};
    double value = 0;
    in_range(app.add_option("--ms", value), 0, 60'000);
    EXPECT_TRUE(parse_words(app, {"--ms", text}).has_value());
  }
}

TEST(SharedFlags, ShowTheirDefaultsInTheHelp) {
  CLI::App app{"Text.", "llmd test"};
  ServingFlags serving{.request_timeout = std::chrono::seconds{77}};
  std::chrono::milliseconds probe{250};
  add_serving_flags(app, serving);
  add_milliseconds(app, "--probe", probe, {1, 1'000}, "Text");
  std::size_t body = 0;
  add_body_flag(app, body);
  const auto help = parse_words(app, {"--help"});
  ASSERT_TRUE(help.has_value());
  EXPECT_THAT(help->text, HasSubstr("--request-timeout N in [1 - 86400]=77"));
  EXPECT_THAT(help->text, HasSubstr("--probe N in [1 - 1000]=250"));
  EXPECT_THAT(help->text, HasSubstr("--max-body SIZE=16MiB "));
  ASSERT_EQ(parse_words(app, {"--drain-timeout", "3"}), std::nullopt);
  EXPECT_EQ(serving.drain_timeout, std::chrono::seconds{3});
  EXPECT_EQ(serving.request_timeout, std::chrono::seconds{77});
}

TEST(WorkerFlags, AreHandedOnAsTheyWereGiven) {
  CLI::App app{"Text.", "llmd test"};
  WorkerFlags flags;
  const auto options = add_worker_flags(app, flags);
  EXPECT_THAT(given_arguments(options), IsEmpty());
  ASSERT_EQ(parse_words(app, {"--served-model-name", "a", "b", "--kv-peers", "c,d:1", "--store-memory", "0",
                              "--allow-long-context"}),
            std::nullopt);
  const auto arguments = given_arguments(options);
  EXPECT_THAT(arguments, ElementsAre("--served-model-name", "a", "--served-model-name", "b", "--store-memory", "0",
                                     "--allow-long-context", "--kv-peers", "c", "--kv-peers", "d:1"));
  CLI::App again{"Text.", "llmd test"};
  WorkerFlags read;
  (void)add_worker_flags(again, read);
  std::vector<const char*> words;
  for (const std::string& argument : arguments) words.push_back(argument.c_str());
  ASSERT_EQ(parse_words(again, words), std::nullopt);
  EXPECT_EQ(read.served_names, flags.served_names);
  EXPECT_EQ(read.kv.peers, flags.kv.peers);
  EXPECT_EQ(read.store_bytes, 0U);
}

TEST(WorkerFlags, AreCheckedTogether) {
  WorkerFlags flags;
  EXPECT_TRUE(check_worker_flags(flags));
  flags.kv.listen = "0.0.0.0:5600";
  const auto unreachable = check_worker_flags(flags);
  ASSERT_FALSE(unreachable);
  EXPECT_EQ(unreachable.error().hint, "give --kv-advertise HOST");
  flags.kv.advertise = "10.0.0.7";
  EXPECT_TRUE(check_worker_flags(flags));
  flags.kv.peers = {"10.0.0.0/99"};
  EXPECT_FALSE(check_worker_flags(flags));
  flags.kv.peers.clear();
  flags.served_names = {std::string(257, 'x')};
  EXPECT_FALSE(check_worker_flags(flags));
}

}  // namespace
}  // namespace llmd::flags
