#include "api/openai/routing_fields.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/rng.h"

namespace llmd::openai {
namespace {

TEST(RoutingFields, ReadsWhatDecidesAndNothingElse) {
  std::string body =
      R"({"model":"m\u0031","messages":[{"role":"user","content":"hi, \"you\""}],"stream":true,"max_tokens":7,)"
      R"("priority":-3,"cache_salt":"s","tools":[{"type":"function"}],"stream_options":{"include_usage":true},)"
      R"("x":{"y":[1]}})";
  const auto fields = read_routing_fields(body);
  ASSERT_TRUE(fields) << fields.error().to_string();
  EXPECT_EQ(fields->model, "m1");
  EXPECT_EQ(fields->prompt, R"([{"role":"user","content":"hi, \"you\""}])");
  EXPECT_EQ(fields->tools, R"([{"type":"function"}])");
  EXPECT_TRUE(fields->stream);
  EXPECT_TRUE(fields->include_usage);
  EXPECT_EQ(fields->output_tokens_max, 7U);
  EXPECT_EQ(fields->priority, 3) << "on the wire lower is earlier, here higher wins";
  EXPECT_EQ(fields->cache_salt, "s");
  EXPECT_FALSE(rewrite_body(body, *fields, {})) << "nothing to change";
}

TEST(RoutingFields, ReadsEachFormOfPrompt) {
  struct Case {
    const char* name;
    std::string body;
    std::string_view prompt;
    std::vector<TokenId> ids;
  };
  Case cases[] = {
      {"string", R"({"prompt": "a b" })", "a b", {}},
      {"ids", R"({"prompt":[1, 2,3]})", "[1, 2,3]", {1, 2, 3}},
      {"one list of ids", R"({"prompt":[ [4,5] ]})", "[ [4,5] ]", {4, 5}},
      {"two lists of ids", R"({"prompt":[[4],[5]]})", "[[4],[5]]", {}},
      {"strings", R"({"input":["a","b"]})", R"(["a","b"])", {}},
      {"number", R"({"prompt":7})", "", {}},
  };
  for (Case& item : cases) {
    const auto fields = read_routing_fields(item.body);
    ASSERT_TRUE(fields) << item.name;
    EXPECT_EQ(fields->prompt, item.prompt) << item.name;
    EXPECT_EQ(fields->prompt_ids, item.ids) << item.name;
  }
}

TEST(RoutingFields, ReadsTokenIdsOfAnyLength) {
  Rng rng{5};
  for (int round = 0; round < 2'000; ++round) {
    std::vector<TokenId> ids;
    std::string body = R"({"prompt":[)";
    for (std::size_t i = 1 + rng.below(6); i > 0; --i) {
      const std::uint64_t digits = 1 + rng.below(10);
      std::uint64_t below = 1;
      for (std::uint64_t digit = 0; digit < digits; ++digit) below *= 10;
      const auto id = static_cast<TokenId>(std::min<std::uint64_t>(rng.below(below), 2'147'483'647));
      ids.push_back(rng.chance(0.1) ? -id : id);
      body += std::to_string(ids.back());
      if (i > 1) body += rng.chance(0.7) ? "," : " ,\n ";
    }
    body += rng.chance(0.5) ? "]}" : " ] , \"x\":1}";
    const auto fields = read_routing_fields(body);
    ASSERT_TRUE(fields) << body;
    ASSERT_EQ(fields->prompt_ids, ids) << body;
  }
  for (std::string body : {R"({"prompt":[1,2147483648]})", R"({"prompt":[12345678901,1]})", R"({"prompt":[1,2.5,3]})",
                           R"({"prompt":[1,2e3]})", R"({"prompt":[1,"2"]})", R"({"prompt":[1,-]})"}) {
    const auto fields = read_routing_fields(body);
    ASSERT_TRUE(fields) << body;
    EXPECT_TRUE(fields->prompt_ids.empty()) << body;
  }
}

TEST(RoutingFields, RefusesWhatIsNotAnObjectWithAUsableModel) {
  struct Case {
    const char* name;
    std::string body;
    ErrorCode code;
  };
  Case cases[] = {
      {"empty", "", ErrorCode::kInvalidJson},
      {"array", "[1]", ErrorCode::kInvalidRequest},
      {"string", "\"x\"", ErrorCode::kInvalidRequest},
      {"open object", R"({"model":"m")", ErrorCode::kInvalidJson},
      {"open string", R"({"model":"m)", ErrorCode::kInvalidJson},
      {"no comma", R"({"model":"m" "x":1})", ErrorCode::kInvalidJson},
      {"trailing bytes", R"({"model":"m"} x)", ErrorCode::kInvalidJson},
      {"not UTF-8", "{\"model\":\"\xff\"}", ErrorCode::kInvalidJson},
      {"model is a number", R"({"model":7})", ErrorCode::kInvalidRequest},
      {"model is a list", R"({"model":["m"]})", ErrorCode::kInvalidRequest},
  };
  for (Case& item : cases) {
    const auto fields = read_routing_fields(item.body);
    ASSERT_FALSE(fields) << item.name;
    EXPECT_EQ(fields.error().code, item.code) << item.name << ": " << fields.error().to_string();
  }
}

TEST(RoutingFields, AValueThatIsNoneCountsAsAbsent) {
  for (std::string body :
       {R"({"max_tokens":priority":-1,"stream":x,"tools":y,"priority":z})", R"({"max_tokens":,"a":1})"}) {
    EXPECT_NO_THROW({
      const auto fields = read_routing_fields(body);
      if (fields) {
        EXPECT_EQ(fields->output_tokens_max, 0U);
      }
    }) << body;
  }
}

TEST(Steering, IsCutOutButForTheCacheThreshold) {
  const std::pair<std::string, const char*> cases[] = {
      {R"({"a":1,"kv_transfer_params":{"x":1},"cache_hit_threshold":0.5})", R"({"a":1,"cache_hit_threshold":0.5})"},
      {R"({"data_parallel_rank":1,"disagg_prefill_dp_rank":2,"bootstrap_other":3,"model":7})", R"({"model":7})"},
      {R"({"vllm_xargs":{"kv_transfer_params":{}},"a":1})", R"({"a":1})"},
      {R"({"vllm_xargs":{"cache_hit_threshold":1}})", R"({"vllm_xargs":{"cache_hit_threshold":1}})"},
      {R"({"sampling_params":{"extra_args": {"kv_transfer_params":{"y":{}}} ,"n":1},"bootstrap_room":1})",
       R"({"sampling_params":{"extra_args": {} ,"n":1}})"},
      {R"({"sampling_params":{"extra_args":{"b":1},"":2}})", R"({"sampling_params":{"extra_args":{"b":1},"":2}})"},
      {R"({"kv\u005ftransfer_params":1})", "{}"},
  };
  for (const auto& [body, expected] : cases) {
    std::string copy = body;
    EXPECT_EQ(may_steer(copy), body != R"({"sampling_params":{"extra_args":{"b":1},"":2}})") << body;
    const auto cut = without_steering(copy);
    ASSERT_TRUE(cut) << body << ": " << cut.error().to_string();
    EXPECT_EQ(*cut, expected);
  }
}

TEST(Steering, MayBeInWhateverBeginsAsAnObject) {
  using std::string_literals::operator""s;
  for (const std::string& body :
       {"{\0\"\0a\0\"\0:\0001\0}\0"s, "\xff\xfe{\0}\0"s, "\xef\xbb\xbf {\"bootstrap_room\":1}"s,
        "{\"ec_transfer_params\":NaN}"s, "\0{"s, "{\"\\u0061\":1}"s})
    EXPECT_TRUE(may_steer(body)) << body;
  for (const std::string& body :
       {""s, "--form\r\n\r\nkv_transfer_params\0"s, "[\"kv_transfer_params\"]"s, "{\"messages\":[]}"s, "\0"s})
    EXPECT_FALSE(may_steer(body)) << body;
}

TEST(RoutingFields, CutsSteeringFieldsWhereverTheyStand) {
  const std::vector<std::pair<std::string, std::string>> members = {
      {"model", "\"m\""},
      {"kv_transfer_params", R"({"remote_host":"evil"})"},
      {"prompt", "\"a,b}\""},
      {"bootstrap_host", "\"h\""},
      {R"(kv\u005ftransfer_params)", "{}"},
      {"ec_transfer_params", "null"},
      {R"(llmd\u005fprompt_tokens)", "\"AAAA\""},
      {"x", "[1,{\"y\":2}]"},
      {"vllm_xargs", R"({"a":1,"kv_transfer_params":"{}"})"},
  };
  Rng rng{11};
  for (int round = 0; round < 500; ++round) {
    std::string body = "{";
    nlohmann::json expected = nlohmann::json::object();
    for (std::size_t i = rng.below(6); i > 0; --i) {
      const auto& [name, value] = members[rng.below(members.size())];
      if (body.size() > 1) body += rng.chance(0.5) ? "," : " ,\n ";
      body += "\"" + name + "\": " + value;
      if (name == "model" || name == "prompt" || name == "x") expected[name] = nlohmann::json::parse(value);
    }
    body += " }";
    const bool rename = rng.chance(0.5);
    if (rename) expected["model"] = "n\"1";
    const auto fields = read_routing_fields(body);
    ASSERT_TRUE(fields) << body;
    const auto rewritten =
        rewrite_body(body, *fields, {.model = rename ? std::optional<std::string_view>{"n\"1"} : std::nullopt});
    const std::string sent = rewritten.value_or(body);
    ASSERT_EQ(nlohmann::json::parse(sent, nullptr, false), expected) << body << " became " << sent;
  }
}

TEST(RoutingFields, PutsOurPromptTokensInPlaceOfAClients) {
  struct Case {
    const char* name;
    std::string body;
    std::optional<std::string_view> model;
    const char* expected;
  };
  Case cases[] = {
      {"none before", R"({"prompt":"a"})", std::nullopt, R"({"llmd_prompt_tokens":"T","prompt":"a"})"},
      {"a client's", R"({"llmd_prompt_tokens":"evil","prompt":"a"})", std::nullopt,
       R"({"llmd_prompt_tokens":"T","prompt":"a"})"},
      {"nothing else", R"({ "llmd_prompt_tokens" : "evil" })", std::nullopt, R"({"llmd_prompt_tokens":"T"})"},
      {"an added model", R"({"prompt":"a"})", "m", R"({"llmd_prompt_tokens":"T","model":"m","prompt":"a"})"},
      {"a replaced model", R"({"prompt":"a","model":"default"})", "m",
       R"({"llmd_prompt_tokens":"T","prompt":"a","model":"m"})"},
  };
  for (Case& item : cases) {
    const auto fields = read_routing_fields(item.body);
    ASSERT_TRUE(fields) << item.name;
    const auto sent = rewrite_body(item.body, *fields, {.model = item.model, .prompt_tokens = "T"});
    ASSERT_TRUE(sent) << item.name;
    EXPECT_EQ(nlohmann::json::parse(*sent, nullptr, false).dump(), nlohmann::json::parse(item.expected).dump())
        << item.name << ": " << *sent;
  }
}

TEST(RoutingFields, AsksForTheUsageOfAStreamWhoseClientDidNot) {
  struct Case {
    std::string body;
    const char* expected;  // null: it may not ask
  };
  Case cases[] = {
      {R"({"stream":true})", R"({"stream_options":{"include_usage":true},"stream":true})"},
      {R"({"stream":true,"stream_options":null})", R"({"stream":true,"stream_options":{"include_usage":true}})"},
      {R"({"stream_options": { } ,"stream":true})", R"({"stream_options":{"include_usage":true},"stream":true})"},
      {R"({"stream":true,"stream_options":{"x":1,"y":2}})",
       R"({"stream":true,"stream_options":{"include_usage":true,"x":1,"y":2}})"},
      {R"({"stream":true,"stream_options":{"x":1,"include_usage": false ,"y":2}})",
       R"({"stream":true,"stream_options":{"x":1,"include_usage":true,"y":2}})"},
      {R"({"stream":true,"stream_options":{"include_usage":null}})",
       R"({"stream":true,"stream_options":{"include_usage":true}})"},
      {R"({"kv_transfer_params":{},"stream":true,"model":"default"})",
       R"({"stream_options":{"include_usage":true},"stream":true,"model":"m"})"},
      {R"({"stream":true,"stream_options":{"include_usage":true}})", nullptr},
      {R"({"stream":true,"stream_options":{"include_usage":7}})", nullptr},
      {R"({"stream":true,"stream_options":{"continuous_usage_stats":true}})", nullptr},
      {R"({"stream":true,"stream_options":{"include_usage":false,"continuous_usage_stats":true}})", nullptr},
      {R"({"stream":true,"stream_options":[]})", nullptr},
      {R"({"stream":true,"stream_options":n})", nullptr},
      {R"({"stream":false})", nullptr},
      {R"({})", nullptr},
  };
  for (Case& item : cases) {
    const auto fields = read_routing_fields(item.body);
    ASSERT_TRUE(fields) << item.body;
    ASSERT_EQ(fields->may_ask_for_usage(), item.expected != nullptr) << item.body;
    if (item.expected == nullptr) continue;
    BodyChanges changes{.ask_for_usage = true};
    if (fields->model) changes.model = "m";
    const auto sent = rewrite_body(item.body, *fields, changes);
    ASSERT_TRUE(sent) << item.body;
    EXPECT_EQ(nlohmann::json::parse(*sent, nullptr, false).dump(), nlohmann::json::parse(item.expected).dump())
        << item.body << " became " << *sent;
  }
}

}  // namespace
}  // namespace llmd::openai
