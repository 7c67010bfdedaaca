#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "api/openai/chat_request.h"
#include "api/openai/completion_request.h"
#include "api/openai/limits.h"

namespace llmd::openai {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::string chat_body(std::string_view field) {
  std::string body = R"({"model":"m","messages":[{"role":"user","content":"hi"}])";
  if (!field.empty()) body += ",";
  body += field;
  return body + "}";
}

struct BadField {
  const char* name;
  const char* field;
  const char* param;
  const char* message;
};

class GenerationFieldsRefuse : public testing::TestWithParam<BadField> {};

TEST_P(GenerationFieldsRefuse, ValuesOutOfTypeOrRange) {
  const auto request = parse_chat_completion(chat_body(GetParam().field));
  ASSERT_FALSE(request.has_value()) << GetParam().field;
  EXPECT_EQ(request.error().code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(request.error().param, GetParam().param);
  EXPECT_EQ(request.error().what, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Table, GenerationFieldsRefuse,
    testing::Values(
        BadField{"temperature_high", R"("temperature":2.5)", "temperature",
                 "temperature is 2.5; expected a number from 0 to 2"},
        BadField{"temperature_negative", R"("temperature":-0.1)", "temperature",
                 "temperature is -0.1; expected a number from 0 to 2"},
        BadField{"temperature_text", R"("temperature":"1")", "temperature",
                 "temperature is a string; expected a number from 0 to 2"},
        BadField{"top_p_zero", R"("top_p":0)", "top_p", "top_p is 0; expected a number above 0 and up to 1"},
        BadField{"top_p_array", R"("top_p":[1])", "top_p", "top_p is an array; expected a number above 0 and up to 1"},
        BadField{"top_k_fraction", R"("top_k":1.5)", "top_k", "top_k is 1.5; expected an integer from -1 to 1000000"},
        BadField{"min_p_high", R"("min_p":1.01)", "min_p", "min_p is 1.01; expected a number from 0 to 1"},
        BadField{"typical_p_zero", R"("typical_p":0)", "typical_p",
                 "typical_p is 0; expected a number above 0 and up to 1"},
        BadField{"frequency_low", R"("frequency_penalty":-3)", "frequency_penalty",
                 "frequency_penalty is -3; expected a number from -2 to 2"},
        BadField{"presence_high", R"("presence_penalty":2.01)", "presence_penalty",
                 "presence_penalty is 2.01; expected a number from -2 to 2"},
        BadField{"repetition_zero", R"("repetition_penalty":0)", "repetition_penalty",
                 "repetition_penalty is 0; expected a number above 0 and up to 100"},
        BadField{"max_tokens_zero", R"("max_tokens":0)", "max_tokens",
                 "max_tokens is 0; expected an integer from 1 to 16777216"},
        BadField{"max_tokens_object", R"("max_completion_tokens":{})", "max_completion_tokens",
                 "max_completion_tokens is an object; expected an integer from 1 to 16777216"},
        BadField{"n_zero", R"("n":0)", "n", "n is 0; expected an integer from 1 to 128"},
        BadField{"n_many", R"("n":129)", "n", "n is 129; expected an integer from 1 to 128"},
        BadField{"best_of", R"("best_of":3)", "best_of", "best_of is 3; expected the value of n, which is 1"},
        BadField{"stream_text", R"("stream":"true")", "stream", "stream is a string; expected true or false"},
        BadField{"stream_options", R"("stream_options":{"include_usage":true})", "stream_options",
                 "stream_options is given; expected stream to be true with it"},
        BadField{"include_usage", R"("stream":true,"stream_options":{"include_usage":1})",
                 "stream_options.include_usage", "stream_options.include_usage is 1; expected true or false"},
        BadField{"stop_number", R"("stop":1)", "stop", "stop is 1; expected a string or an array of strings"},
        BadField{"stop_empty_entry", R"("stop":["a",""])", "stop[1]", "stop[1] is empty; expected a string with text"},
        BadField{"stop_many", R"("stop":["a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a"])", "stop",
                 "stop is an array of 17 strings; expected at most 16 strings"},
        BadField{"logit_bias_key", R"("logit_bias":{"x":1})", "logit_bias",
                 "logit_bias is an object with the key \"x\"; expected token ids as keys"},
        BadField{"logit_bias_value", R"("logit_bias":{"5":101})", "logit_bias[5]",
                 "logit_bias[5] is 101; expected a number from -100 to 100"},
        BadField{"logit_bias_list", R"("logit_bias":[])", "logit_bias", "logit_bias is an array; expected an object"},
        BadField{"seed_text", R"("seed":"7")", "seed",
                 "seed is a string; expected an integer from -9223372036854775808 to 9223372036854775807"},
        BadField{"min_tokens_above_max", R"("min_tokens":9,"max_tokens":8)", "min_tokens",
                 "min_tokens is 9; expected at most max_tokens, which is 8"},
        BadField{"top_logprobs_high", R"("logprobs":true,"top_logprobs":21)", "top_logprobs",
                 "top_logprobs is 21; expected an integer from 0 to 20"},
        BadField{"top_logprobs_alone", R"("top_logprobs":2)", "top_logprobs",
                 "top_logprobs is given; expected logprobs to be true with it"},
        BadField{"logprobs_number", R"("logprobs":3)", "logprobs", "logprobs is 3; expected true or false"},
        BadField{"response_format_type", R"("response_format":{"type":"xml"})", "response_format.type",
                 "response_format.type is \"xml\"; expected \"text\", \"json_object\" or \"json_schema\""},
        BadField{"response_format_missing", R"("response_format":{})", "response_format.type",
                 "response_format.type is missing; expected \"text\", \"json_object\" or \"json_schema\""},
        BadField{"schema_missing", R"("response_format":{"type":"json_schema","json_schema":{"name":"x"}})",
                 "response_format.json_schema.schema",
                 "response_format.json_schema.schema is missing; expected a JSON schema"},
        BadField{"two_constraints", R"("guided_json":{"type":"object"},"response_format":{"type":"json_object"})",
                 "response_format",
                 "response_format is given beside another output constraint; expected one of response_format, "
                 "structured_outputs and the guided_ fields"},
        BadField{"cache_salt_number", R"("cache_salt":1)", "cache_salt", "cache_salt is 1; expected a string"},
        BadField{"priority_text", R"("priority":"high")", "priority",
                 "priority is a string; expected an integer from -1000000 to 1000000"}),
    [](const auto& row) { return row.param.name; });

TEST(GenerationFields, HaveOpenAiDefaultsWhenAbsentOrNull) {
  for (const char* field : {"", R"("temperature":null,"n":null,"stop":null,"seed":null,"stream":null,"max_tokens":null,
       "logprobs":null,"top_logprobs":null,"logit_bias":null,"response_format":null,"stream_options":null)"}) {
    SCOPED_TRACE(field);
    const auto request = parse_chat_completion(chat_body(field));
    ASSERT_TRUE(request.has_value()) << request.error().what;
    const GenerationRequest& common = request->generation;
    EXPECT_EQ(common.model, "m");
    EXPECT_FLOAT_EQ(common.sampling.temperature, 1.0F);
    EXPECT_FLOAT_EQ(common.sampling.top_p, 1.0F);
    EXPECT_EQ(common.choices, 1U);
    EXPECT_FALSE(common.sampling.seed.has_value());
    EXPECT_FALSE(common.max_tokens.has_value());
    EXPECT_FALSE(common.sampling.top_logprobs.has_value());
    EXPECT_TRUE(common.constraint.empty());
    EXPECT_FALSE(common.stream);
  }
}

TEST(GenerationFields, KeepEveryValueGiven) {
  const auto request = parse_chat_completion(chat_body(
      R"("temperature":0.5,"top_p":0.25,"top_k":40,"min_p":0.125,"typical_p":0.5,"frequency_penalty":1,
         "presence_penalty":-1,"repetition_penalty":1.5,"seed":-1,"max_tokens":5,
         "max_completion_tokens":7,"min_tokens":2,
         "ignore_eos":true,"logit_bias":{"12":-100,"7":2.5},"logprobs":true,"top_logprobs":3,"stop":["a","bc"],"n":2,
         "best_of":2,"stream":true,"stream_options":{"include_usage":true},
         "priority":-4,"cache_salt":"s","user":"u")"));
  ASSERT_TRUE(request.has_value()) << request.error().what;
  const GenerationRequest& common = request->generation;
  const SamplingParams& sampling = common.sampling;
  EXPECT_FLOAT_EQ(sampling.temperature, 0.5F);
  EXPECT_FLOAT_EQ(sampling.top_p, 0.25F);
  EXPECT_EQ(sampling.top_k, 40);
  EXPECT_FLOAT_EQ(sampling.min_p, 0.125F);
  EXPECT_FLOAT_EQ(sampling.typical_p, 0.5F);
  EXPECT_FLOAT_EQ(sampling.frequency_penalty, 1.0F);
  EXPECT_FLOAT_EQ(sampling.presence_penalty, -1.0F);
  EXPECT_FLOAT_EQ(sampling.repetition_penalty, 1.5F);
  EXPECT_EQ(sampling.seed, 0xFFFFFFFFFFFFFFFFULL);
  EXPECT_EQ(common.max_tokens, 7U) << "max_completion_tokens wins";
  EXPECT_EQ(sampling.min_tokens, 2U);
  EXPECT_TRUE(sampling.ignore_eos);
  EXPECT_THAT(sampling.logit_bias, ElementsAre(Pair(12, -100.0F), Pair(7, 2.5F)));
  EXPECT_EQ(sampling.top_logprobs, 3U);
  EXPECT_THAT(common.stop, ElementsAre("a", "bc"));
  EXPECT_EQ(common.choices, 2U);
  EXPECT_TRUE(common.stream);
  EXPECT_TRUE(common.include_usage);
  EXPECT_EQ(common.priority, 4) << "lower is earlier on the wire, higher is earlier inside";
  EXPECT_EQ(common.cache_salt, "s");
  EXPECT_EQ(common.user, "u");
}

TEST(GenerationFields, IgnoreNamesTheyDoNotKnow) {
  const auto request = parse_chat_completion(chat_body(R"("store":true,"metadata":{"a":[1,{"b":null}]},"zz":"x")"));
  EXPECT_TRUE(request.has_value());
}

TEST(GenerationFields, TakeTheLastOfADoubledField) {
  const auto request = parse_chat_completion(chat_body(R"("n":1,"n":3)"));
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->generation.choices, 3U);
}

TEST(GenerationFields, TakeTheWholeRangeOfSeeds) {
  const auto request = parse_chat_completion(chat_body(R"("seed":18446744073709551615)"));
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->generation.sampling.seed, 18446744073709551615ULL);
}

struct Constraint {
  const char* name;
  const char* field;
  const char* schema;
  const char* grammar;
};

TEST(OutputConstraint, IsReadFromEveryFormThatClientsUse) {
  const Constraint table[] = {
      {"text", R"("response_format":{"type":"text"})", "", ""},
      {"json_object", R"("response_format":{"type":"json_object"})", "{}", ""},
      {"json_schema",
       R"("response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type": "object"},)"
       R"("strict":true}})",
       R"({"type":"object"})", ""},
      {"guided_json", R"("guided_json":{"type":"array"})", R"({"type":"array"})", ""},
      {"guided_json_text", R"("guided_json":"{\"type\":\"array\"}")", R"({"type":"array"})", ""},
      {"guided_grammar", R"("guided_grammar":"root ::= \"a\"")", "", "root ::= \"a\""},
      {"guided_choice", R"("guided_choice":["yes","n\"o"])", "", R"(root ::= "yes" | "n\"o")"},
      {"structured_json", R"("structured_outputs":{"json":{"type":"null"}})", R"({"type":"null"})", ""},
      {"structured_object", R"("structured_outputs":{"json_object":true})", "{}", ""},
      {"structured_choice", R"("structured_outputs":{"choice":["a","b"]})", "", R"(root ::= "a" | "b")"},
  };
  for (const Constraint& row : table) {
    SCOPED_TRACE(row.name);
    const auto request = parse_chat_completion(chat_body(row.field));
    ASSERT_TRUE(request.has_value()) << request.error().what;
    EXPECT_EQ(request->generation.constraint.json_schema, row.schema);
    EXPECT_EQ(request->generation.constraint.grammar, row.grammar);
  }
}

TEST(OutputConstraint, IsRefusedRatherThanIgnoredWhereItCannotBeKept) {
  for (const char* field : {R"("guided_regex":"a+")", R"("structured_outputs":{"regex":"a+"})"}) {
    const auto request = parse_chat_completion(chat_body(field));
    ASSERT_FALSE(request.has_value()) << field;
    EXPECT_EQ(request.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(request.error().param, HasSubstr("regex"));
  }
}

TEST(OutputConstraint, HoldsNoZeroByteWhichWouldEndAGrammar) {
  for (const char* field : {R"("guided_choice":["a","b\u0000c"])", R"("guided_grammar":"root ::= \"a\u0000\"")"}) {
    const auto request = parse_chat_completion(chat_body(field));
    ASSERT_FALSE(request.has_value()) << field;
    EXPECT_EQ(request.error().code, ErrorCode::kInvalidRequest);
    EXPECT_THAT(request.error().what, HasSubstr("zero byte"));
  }
}

TEST(KvTransferParams, AreReadAsVllmWritesThem) {
  const auto request = parse_chat_completion(chat_body(
      R"("kv_transfer_params":{"do_remote_decode":false,"do_remote_prefill":true,"remote_block_ids":[[1,2],[3]],
         "remote_engine_id":"e","remote_request_id":"r","remote_host":"h","remote_port":5600,"tp_size":1,
         "remote_num_tokens":96,"remote_blocks_expiry_time":null,"transfer_mode":"pull"})"));
  ASSERT_TRUE(request.has_value()) << request.error().what;
  ASSERT_TRUE(request->generation.kv_transfer.has_value());
  const KvTransferParams& params = *request->generation.kv_transfer;
  EXPECT_TRUE(params.do_remote_prefill);
  EXPECT_FALSE(params.do_remote_decode);
  EXPECT_THAT(params.remote_block_ids, ElementsAre(ElementsAre(1, 2), ElementsAre(3)));
  EXPECT_EQ(params.remote_engine_id, "e");
  EXPECT_EQ(params.remote_request_id, "r");
  EXPECT_EQ(params.remote_host, "h");
  EXPECT_EQ(params.remote_port, 5600);
  EXPECT_EQ(params.remote_num_tokens, 96U);
  EXPECT_THAT(params.json, HasSubstr(R"("transfer_mode":"pull")")) << "unknown keys are kept";
}

TEST(KvTransferParams, ReadTheRoutersFirstLegAndTheOldFlatList) {
  const auto first = parse_chat_completion(
      chat_body(R"("kv_transfer_params":{"do_remote_decode":true,"do_remote_prefill":false,"remote_engine_id":null,
                   "remote_block_ids":null,"remote_host":null,"remote_port":null})"));
  ASSERT_TRUE(first.has_value()) << first.error().what;
  EXPECT_TRUE(first->generation.kv_transfer->do_remote_decode);
  const auto flat = parse_chat_completion(chat_body(R"("kv_transfer_params":{"remote_block_ids":[4,5]})"));
  ASSERT_TRUE(flat.has_value());
  EXPECT_THAT(flat->generation.kv_transfer->remote_block_ids, ElementsAre(ElementsAre(4, 5)));
}

TEST(KvTransferParams, AreRefusedWhereATypeIsWrong) {
  const std::pair<const char*, const char*> table[] = {
      {R"("kv_transfer_params":[])", "kv_transfer_params"},
      {R"("kv_transfer_params":{"remote_port":70000})", "kv_transfer_params.remote_port"},
      {R"("kv_transfer_params":{"remote_block_ids":[[1],2]})", "kv_transfer_params.remote_block_ids"},
      {R"("kv_transfer_params":{"remote_block_ids":[[-1]]})", "kv_transfer_params.remote_block_ids"},
      {R"("kv_transfer_params":{"do_remote_decode":true,"do_remote_prefill":true})", "kv_transfer_params"},
  };
  for (const auto& [field, param] : table) {
    const auto request = parse_chat_completion(chat_body(field));
    ASSERT_FALSE(request.has_value()) << field;
    EXPECT_EQ(request.error().param, param);
  }
}

TEST(Body, IsRefusedByCodeWhereItIsNoJsonObject) {
  const std::string deep = R"({"messages":)" + std::string(100, '[') + std::string(100, ']') + "}";
  const std::pair<std::string, ErrorCode> table[] = {
      {"", ErrorCode::kInvalidJson},
      {"{", ErrorCode::kInvalidJson},
      {"{\"a\":1}}", ErrorCode::kInvalidJson},
      {"{\"a\":\"\xff\"}", ErrorCode::kInvalidJson},
      {"{\"a\":\"\\ud800\"}", ErrorCode::kInvalidJson},
      {"{\"a\":1e999}", ErrorCode::kInvalidJson},
      {std::string("{\"a\":1\0}", 8), ErrorCode::kInvalidJson},
      {"[]", ErrorCode::kInvalidRequest},
      {"null", ErrorCode::kInvalidRequest},
      {"\"x\"", ErrorCode::kInvalidRequest},
      {deep, ErrorCode::kInvalidJson},
      {std::string(kBodyBytesMax + 1, ' '), ErrorCode::kBodyTooLarge},
  };
  for (const auto& [body, code] : table) {
    const auto request = parse_completion(body);
    ASSERT_FALSE(request.has_value()) << body.substr(0, 40);
    EXPECT_EQ(request.error().code, code) << body.substr(0, 40) << ": " << request.error().what;
  }
}

TEST(Body, IsParsedAgainAfterALargeOne) {
  const std::string large = R"({"prompt":")" + std::string(4U << 20U, 'x') + "\"}";
  for (int round = 0; round < 2; ++round) {
    const auto big = parse_completion(large);
    ASSERT_TRUE(big.has_value()) << big.error().what;
    EXPECT_EQ(std::get<std::string>(big->prompts[0]).size(), 4U << 20U);
    const auto small = parse_completion(R"({"prompt":"a"})");
    ASSERT_TRUE(small.has_value());
    EXPECT_EQ(std::get<std::string>(small->prompts[0]), "a");
  }
}

}  // namespace
}  // namespace llmd::openai
