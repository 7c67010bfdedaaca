#include "api/requests/request_parser.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/protobuf_wire.h"

namespace llmd::api {
namespace {

const RequestParser& parser_of(std::string_view type) {
  const RequestParser* parser = find_parser(type);
  if (parser == nullptr) throw std::runtime_error{"no such parser"};
  return *parser;
}

std::string frame(std::string_view message) {
  std::string out(1, '\0');
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(message.size() >> shift & 0xff);
  return out.append(message);
}

TEST(RequestParser, TheLongestSuffixOfThePathChooses) {
  struct Case {
    const char* name;
    std::vector<std::string_view> configured;
    std::string_view path;
    std::string_view expected;  // empty: none
  };
  const std::vector<std::string_view> defaults{"openai-parser", "anthropic-parser", "vllmhttp-parser",
                                               "passthrough-parser"};
  const std::vector<std::string_view> all{"passthrough-parser", "sglanghttp-parser", "vertexai-parser",
                                          "vllmgrpc-parser",    "openai-parser",     "anthropic-parser",
                                          "vllmhttp-parser"};
  const Case cases[] = {
      {"chat", defaults, "/v1/chat/completions", "openai-parser"},
      {"a query", defaults, "/v1/messages?beta=true", "anthropic-parser"},
      {"a slash at the end", defaults, "/v1/completions/ ", "openai-parser"},
      {"a query behind a slash", defaults, "/v1/completions/?a=/b", "openai-parser"},
      {"count_tokens", defaults, "/v1/messages/count_tokens", "anthropic-parser"},
      {"a prefix", defaults, "/models/a/v1/rerank", "openai-parser"},
      {"render", defaults, "/v1/chat/completions/render", "openai-parser"},
      {"the longer one of two", all, "/inference/v1/generate", "vllmhttp-parser"},
      {"the shorter one of two", all, "/generate", "sglanghttp-parser"},
      {"a gRPC method", all, "/vllm.grpc.engine.VllmEngine/Generate", "vllmgrpc-parser"},
      {"a method of another version", all, "/google.cloud.aiplatform.v1.PredictionService/RawPredict",
       "vertexai-parser"},
      {"the fallback", defaults, "/v1/audio/speech", "passthrough-parser"},
      {"an empty path", defaults, "", "passthrough-parser"},
      {"none", {"openai-parser"}, "/v1/messages", ""},
      {"none configured", {}, "/v1/messages", ""},
  };
  for (const Case& item : cases) {
    std::vector<const RequestParser*> configured;
    for (const std::string_view type : item.configured) configured.push_back(&parser_of(type));
    const RequestParser* chosen = choose_parser(configured, item.path);
    EXPECT_EQ(chosen != nullptr ? chosen->type : "", item.expected) << item.name;
  }
}

/// What a body of one API is read to; all cases ask for a stream.
struct ReadCase {
  const char* name;
  std::string_view type;
  std::string_view path;
  std::string body;
  std::string_view prompt;
  std::uint32_t output_tokens_max = 0;
  std::string_view system = {};
  std::string_view tools = {};
  std::vector<TokenId> ids = {};
  bool has_model = true;
};

void expect_read(const ReadCase& item) {
  std::string body = item.body;
  const auto parsed = parser_of(item.type).parse(item.path, body, {});
  ASSERT_TRUE(parsed) << item.name << ": " << parsed.error().to_string();
  EXPECT_EQ(body, item.body) << item.name;
  EXPECT_EQ(parsed->has_model, item.has_model) << item.name;
  if (item.has_model) {
    EXPECT_EQ(parsed->fields.model, "m") << item.name;
  }
  EXPECT_EQ(parsed->fields.prompt, item.prompt) << item.name;
  EXPECT_EQ(parsed->fields.system, item.system) << item.name;
  EXPECT_EQ(parsed->fields.tools, item.tools) << item.name;
  EXPECT_EQ(parsed->fields.prompt_ids, item.ids) << item.name;
  EXPECT_EQ(parsed->fields.output_tokens_max, item.output_tokens_max) << item.name;
  EXPECT_TRUE(parsed->fields.stream) << item.name;
  EXPECT_FALSE(parsed->skips_response) << item.name;
  EXPECT_EQ(parsed->answer, AnswerForm::kText) << item.name;
}

TEST(RequestParser, ReadsWhatDecidesInChatsAndCompletions) {
  constexpr std::string_view kType = "openai-parser";
  const ReadCase cases[] = {
      {"chat", kType, "/v1/chat/completions",
       R"({"model":"m","max_completion_tokens":5,"max_tokens":9,"stream":true,"messages": [{"r":1}] ,"tools":[{}]})",
       R"([{"r":1}])", 5, "", "[{}]"},
      {"chat, the older limit", kType, "/v1/chat/completions",
       R"({"model":"m","max_completion_tokens":-5,"max_tokens":9.0,"stream":true,"messages":["x"]})", R"(["x"])", 9},
      {"chat to render", kType, "/v1/chat/completions/render", R"({"model":"m","stream":true,"messages":[{}]})",
       "[{}]"},
      {"completions", kType, "/v1/completions",
       R"({"model":"m","prompt":"a\"b","stream":true,"max_tokens":0,"max_completion_tokens":3})", R"(a\"b)"},
      {"completions of ids",
       kType,
       "/v1/completions/render/",
       R"({"model":"m","prompt":[1,2],"stream":true,"max_tokens":1.5})",
       "[1,2]",
       0,
       "",
       "",
       {1, 2}},
      {"an unknown path", kType, "/x", R"({"model":"m","prompt":"p","stream":true})", "p"},
  };
  for (const ReadCase& item : cases) expect_read(item);
}

TEST(RequestParser, ReadsWhatDecidesInTheOtherApis) {
  constexpr std::string_view kType = "openai-parser";
  const ReadCase cases[] = {
      {"embeddings", kType, "/v1/embeddings", R"({"model":"m","input":["a"],"stream":true,"max_tokens":3})",
       R"(["a"])"},
      {"responses", kType, "/v1/responses",
       R"({"model":"m","instructions":"be","input":"","tools":[1],"stream":true,"max_output_tokens":4,"max_tokens":9})",
       "", 4, "be", "[1]"},
      {"conversations", kType, "/v1/conversations", R"({"model":"m","stream":true,"items":[{"type":"x"}]})",
       R"([{"type":"x"}])"},
      {"rerank", kType, "/v2/rerank", R"({"model":"m","stream":true,"query":"q","documents":["a","b"]})",
       R"(["a","b"])", 0, "q"},
      {"images", kType, "/v1/images/generations", R"({"model":"m","prompt":"cat","n":2,"stream":true})", "cat"},
      {"messages", "anthropic-parser", "/v1/messages?beta=true",
       R"({"model":"m","max_tokens":7,"system":[{"text":"s"}],"messages":[{"r":1}],"tools":[{}],"stream":true})",
       R"([{"r":1}])", 7, R"([{"text":"s"}])", "[{}]"},
      {"generate of vLLM",
       "vllmhttp-parser",
       "/inference/v1/generate",
       R"({"model":"m","token_ids":[5,6,7],"sampling_params":{"temperature":0,"max_tokens":8},"stream":true})",
       "[5,6,7]",
       8,
       "",
       "",
       {5, 6, 7}},
      {"generate of SGLang",
       "sglanghttp-parser",
       "/generate",
       R"({"model":"m","input_ids":[5,6],"sampling_params":{"max_new_tokens":8},"stream":true})",
       "[5,6]",
       8,
       "",
       "",
       {5, 6},
       false},
      {"generate of SGLang with text",
       "sglanghttp-parser",
       "/generate",
       R"({"text":"hi","stream":true})",
       "hi",
       0,
       "",
       "",
       {},
       false},
  };
  for (const ReadCase& item : cases) expect_read(item);
}

struct RefusedCase {
  std::string_view type;
  std::string_view path;
  std::string body;
  std::string_view what;  // how the reason begins
  ErrorCode code = ErrorCode::kInvalidRequest;
};

void expect_refused(const RefusedCase& item) {
  std::string body = item.body;
  const auto parsed = parser_of(item.type).parse(item.path, body, {});
  ASSERT_FALSE(parsed) << item.path << ": " << item.body;
  EXPECT_EQ(parsed.error().code, item.code) << item.body << ": " << parsed.error().to_string();
  EXPECT_TRUE(parsed.error().what.starts_with(item.what)) << item.body << ": " << parsed.error().what;
  EXPECT_EQ(body, item.body);
}

constexpr std::string_view kNoJson = "error unmarshaling request bodyMap: ";
constexpr std::string_view kNoObject = "the request body is not a JSON object";
constexpr std::string_view kNoModel = "model not found in request body";

TEST(RequestParser, RefusesABodyThatIsNoJsonObjectOrNamesNoModel) {
  constexpr std::string_view kPath = "/v1/completions";
  const std::pair<std::string, std::string_view> cases[] = {
      {"no healthy upstream", kNoJson},
      {"tru", kNoJson},
      {"12 3", kNoJson},
      {"", kNoJson},
      {R"({"model":"m")", kNoJson},
      {R"({"model":"m","prompt":"x"} y)", kNoJson},
      {" null ", kNoObject},
      {"12", kNoObject},
      {"[]", kNoObject},
      {R"({"prompt":"x"})", kNoModel},
      {R"({"prompt":"x","model":null})", kNoModel},
      {R"({"prompt":"x","model":""})", kNoModel},
  };
  for (const auto& [body, what] : cases) {
    expect_refused({.type = "openai-parser",
                    .path = kPath,
                    .body = body,
                    .what = what,
                    .code = what == kNoJson ? ErrorCode::kInvalidJson : ErrorCode::kInvalidRequest});
  }
}

TEST(RequestParser, TellsWhyABodyIsNoJsonAsLlmDDoes) {
  const std::pair<std::string, std::string_view> cases[] = {
      {"no healthy upstream",
       "error unmarshaling request bodyMap: invalid character 'o' in literal null (expecting 'u')"},
      {"{\"model\":\"\xff\"}",  // which Go takes
       "error unmarshaling request bodyMap: the request body is not valid JSON: The input is not valid UTF-8"},
  };
  for (const auto& [body, what] : cases) {
    expect_refused({.type = "openai-parser",
                    .path = "/v1/completions",
                    .body = body,
                    .what = what,
                    .code = ErrorCode::kInvalidJson});
  }
}

TEST(RequestParser, RefusesABodyWithoutWhatItsApiNeeds) {
  const RefusedCase cases[] = {
      {"openai-parser", "/v1/chat/completions", R"({"model":"m"})", "messages is missing"},
      {"openai-parser", "/v1/chat/completions", R"({"model":"m","messages":[ ]})", "messages is missing"},
      {"openai-parser", "/v1/chat/completions", R"({"model":"m","messages":"x"})", "messages is missing"},
      {"openai-parser", "/v1/chat/completions", R"({"model":"m","prompt":"x"})", "messages is missing"},
      {"openai-parser", "/v1/chat/completions", R"({"model":"m","messages":[{"content":[{)", kNoJson,
       ErrorCode::kInvalidJson},
      {"openai-parser", "/v1/completions", R"({"model":"m"})", "prompt is missing"},
      {"openai-parser", "/v1/completions", R"({"model":"m","prompt":""})", "prompt is missing"},
      {"openai-parser", "/v1/completions", R"({"model":"m","prompt":[]})", "prompt is missing"},
      {"openai-parser", "/v1/completions", R"({"model":"m","prompt":5})", "prompt is missing"},
      {"openai-parser", "/v1/embeddings", R"({"model":"m","input":null})", "input is missing"},
      {"openai-parser", "/v1/responses", R"({"model":"m"})", "input is missing"},
      {"openai-parser", "/v1/conversations", R"({"model":"m","items":[]})", "items is missing"},
      {"openai-parser", "/rerank", R"({"model":"m","query":"q"})", "documents is missing"},
      {"openai-parser", "/v1/images/generations", R"({"model":"m","prompt":""})", "prompt is missing"},
      {"anthropic-parser", "/v1/messages", R"({"model":"m","system":"s"})", "messages is missing"},
      {"anthropic-parser", "/v1/messages", R"({"messages":[{}]})", kNoModel},
      {"vllmhttp-parser", "/inference/v1/generate", R"({"model":"m"})", "token_ids is missing"},
      {"vllmhttp-parser", "/inference/v1/generate", R"({"model":"m","token_ids":"x"})",
       "token_ids is not a list of token ids"},
      {"vllmhttp-parser", "/inference/v1/generate", R"({"model":"m","token_ids":[1.5]})",
       "token_ids is not a list of token ids"},
      {"sglanghttp-parser", "/generate", R"({"stream":true})", "input_ids or text is missing"},
  };
  for (const RefusedCase& item : cases) expect_refused(item);
}

TEST(RequestParser, RefusesGrpcThatIsNone) {
  constexpr std::string_view kGenerate = "/vllm.grpc.engine.VllmEngine/Generate";
  constexpr std::string_view kVertex = "/a.PredictionService/RawPredict";
  const auto bytes = [](std::uint32_t number, std::string_view value) {
    return WireWriter{}.bytes(number, value).text();
  };
  const RefusedCase cases[] = {
      {"vllmgrpc-parser", kGenerate, "\1\1", "the body is no gRPC message"},
      {"vllmgrpc-parser", kGenerate, frame(bytes(3, "hello")).substr(0, 8),
       "the gRPC message should have 7 bytes and has 3"},
      {"vllmgrpc-parser", kGenerate, std::string("\0\xff\xff\xff\xff", 5),
       "the gRPC message should have 4294967295 bytes"},
      {"vllmgrpc-parser", kGenerate, std::string("\1\0\0\0\0", 5), "the gRPC message is compressed"},
      {"vllmgrpc-parser", kGenerate, frame("\xff\xff"), "the gRPC message is no protobuf message"},
      {"vllmgrpc-parser", kGenerate, frame(bytes(2, bytes(2, "\x80"))), "input_ids of the gRPC"},
      {"vllmgrpc-parser", kGenerate, frame(bytes(1, "id")), "the gRPC request has neither tokenized input nor text"},
      {"vllmgrpc-parser", "/vllm.grpc.engine.VllmEngine/Embed", frame(bytes(3, "x")),
       "the gRPC request has no tokenized input"},
      {"vertexai-parser", kVertex, frame(bytes(1, "endpoint")), "the gRPC request has no http_body"},
      {"vertexai-parser", kVertex, frame(bytes(2, bytes(1, "json"))), kNoJson, ErrorCode::kInvalidJson},
      {"vertexai-parser", kVertex, frame(bytes(2, bytes(2, "{\"a\""))), kNoJson, ErrorCode::kInvalidJson},
  };
  for (const RefusedCase& item : cases) expect_refused(item);
}

TEST(RequestParser, TakesABodyWithoutModelIfAnotherChoosesIt) {
  std::string body = R"({"prompt":"x"})";
  const auto parsed = parser_of("openai-parser").parse("/v1/completions", body, {.model_required = false});
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->has_model) << "one may be put in";
  EXPECT_EQ(rewrite_request(body, *parsed, {.model = "chosen"}), R"({"model":"chosen","prompt":"x"})");
}

TEST(RequestParser, ForwardsWhateverCountsTokensOrIsUnknown) {
  struct Case {
    const char* name;
    std::string_view type;
    std::string_view path;
    std::string body;
    bool skips_response;
    bool has_model;
  };
  const Case cases[] = {
      {"count_tokens", "anthropic-parser", "/v1/messages/count_tokens",
       R"({"model":"m","messages":[{"role":"user","content":"Hello"}]})", true, true},
      {"count_tokens of nothing", "anthropic-parser", "/v1/messages/count_tokens", "", true, false},
      {"count_tokens of no JSON", "anthropic-parser", "/v1/messages/count_tokens", "not-json", true, false},
      {"count_tokens without model", "anthropic-parser", "/v1/messages/count_tokens", R"({"messages":[{}]})", true,
       false},
      {"another gRPC method", "vllmgrpc-parser", "/vllm.grpc.engine.VllmEngine/Abort", "\1", true, false},
      {"passthrough", "passthrough-parser", "/anything", "\xff\xfe", false, false},
  };
  for (const Case& item : cases) {
    std::string body = item.body;
    const auto parsed = parser_of(item.type).parse(item.path, body, {});
    ASSERT_TRUE(parsed) << item.name << ": " << parsed.error().to_string();
    EXPECT_EQ(parsed->skips_response, item.skips_response) << item.name;
    EXPECT_EQ(parsed->has_model, item.has_model) << item.name;
    EXPECT_EQ(parsed->answer, AnswerForm::kUnknown) << item.name;
    EXPECT_EQ(rewrite_request(body, *parsed, {.model = "n"}).has_value(), item.has_model) << item.name;
    if (!body.starts_with('{')) {
      EXPECT_FALSE(rewrite_request(body, *parsed, {.prompt_tokens = "T", .ask_for_usage = true}))
          << item.name << ": bytes that nobody understands stay";
    }
  }
}

struct MediaCase {
  const char* name;
  std::string_view type;
  std::string_view path;
  std::string body;
  std::vector<std::pair<std::string, std::uint32_t>> media;  // text and tokens
};

void expect_media(const MediaCase& item) {
  std::string body = item.body;
  const auto parsed = parser_of(item.type).parse(item.path, body, {});
  ASSERT_TRUE(parsed) << item.name << ": " << parsed.error().to_string();
  ASSERT_EQ(parsed->media.size(), item.media.size()) << item.name;
  std::string scratch;
  const std::string text{openai::prompt_text(parsed->fields, scratch)};
  EXPECT_FALSE(text.empty()) << item.name;
  for (std::size_t i = 0; i < item.media.size(); ++i) {
    const auto& [source, tokens] = item.media[i];
    EXPECT_EQ(parsed->media[i].hash, xxh64(source)) << item.name;
    EXPECT_EQ(parsed->media[i].weight, tokens) << item.name;
    EXPECT_EQ(text.find('"' + source + '"'), std::string::npos) << item.name;
  }
}

TEST(RequestParser, FindsMediaAndLeavesThemOutOfTheText) {
  const std::string url = "https://example.com/cat.png";
  const std::string data = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAABAAAAAMACAIAAAA=";  // 1024 x 768
  const auto chat = [](std::string_view parts) {
    return fmt::format(R"({{"model":"m","messages":[{{"role":"user","content":[{{"type":"text","text":"a"}},{}]}}]}})",
                       parts);
  };
  const MediaCase cases[] = {
      {"an image by URL",
       "openai-parser",
       "/chat/completions",
       chat(fmt::format(R"({{"type":"image_url","image_url":{{"detail":"low","url":"{}"}}}})", url)),
       {{url, 225}}},
      {"two images",
       "openai-parser",
       "/chat/completions",
       chat(fmt::format(R"({{"image_url":{{"url":"{}"}}}},{{"image_url":{{"url":"{}"}}}})", data, url)),
       {{data, 768}, {url, 225}}},
      {"a video", "openai-parser", "/chat/completions", chat(R"({"video_url":{"url":"v"}})"), {{"v", 4'500}}},
      {"sound",
       "openai-parser",
       "/chat/completions",
       chat(R"({"input_audio":{"data":"ABCDEFGH","format":"wav"}})"),
       {{"ABCDEFGH", 3}}},
      {"an image to respond to",
       "openai-parser",
       "/responses",
       fmt::format(R"({{"model":"m","input":[{{"content":[{{"type":"input_image","image_url":"{}"}}]}}]}})", url),
       {{url, 225}}},
      {"Anthropic's",
       "anthropic-parser",
       "/messages",
       chat(R"({"type":"image","source":{"type":"base64","data":"AAAA"}},{"source":{"type":"url","url":"u"}})"),
       {{"AAAA", 225}, {"u", 225}}},
      {"in the result of a tool",
       "anthropic-parser",
       "/messages",
       chat(R"({"type":"tool_result","content":[{"type":"image","source":{"type":"url","url":"u"}}]})"),
       {{"u", 225}}},
      {"a document of text", "anthropic-parser", "/messages", chat(R"({"source":{"type":"text","data":"words"}})"), {}},
      {"wrong types",
       "openai-parser",
       "/chat/completions",
       chat(R"({"image_url":5},{"image_url":{"url":7}},{"content":{}},[],1,{"text":1})"),
       {}},
      {"too deep",
       "openai-parser",
       "/chat/completions",
       chat(R"({"content":[{"content":[{"content":[{"content":[{"image_url":"u"}]}]}]}]})"),
       {}},
  };
  for (const MediaCase& item : cases) expect_media(item);
}

TEST(RequestParser, CountsMediaAsTheConfigurationAndTheHeadersSay) {
  const std::string huge = "iVBORw0KGgoAAAANSUhEUv//////////CAI=";  // 4,294,967,295 x 4,294,967,295
  std::string body = fmt::format(
      R"({{"model":"m","messages":[{{"content":[{{"image_url":{{"url":"i"}}}},{{"video_url":{{"url":"v"}}}},)"
      R"({{"image_url":{{"url":"data:image/png;base64,{}"}}}}]}}]}})",
      huge);
  ParseHints hints{.model_required = true, .video = {.resolution = {}, .seconds = 3, .fps = 0}, .media = {}};
  hints.media.image.resolution = {.width = 64, .height = 64};
  hints.media.video.frame = {.fixed = true, .fixed_tokens = 10};
  const auto parsed = parser_of("openai-parser").parse("/v1/chat/completions", body, hints);
  ASSERT_TRUE(parsed);
  ASSERT_EQ(parsed->media.size(), 3U);
  EXPECT_EQ(parsed->media[0].weight, 4U);
  EXPECT_EQ(parsed->media[1].weight, 60U) << "two frames a second";
  EXPECT_EQ(parsed->media[2].weight, 262'144U) << "whatever a header claims";
}

TEST(RequestParser, OneConversationKeepsItsTextWithADifferentBillingHeaderInEachRequest) {
  const auto text_of = [](std::string_view billing) {
    std::string body = fmt::format(
        R"({{"model":"m","messages":[{{"role":"user","content":"hi"}}],"tools":[{{"name":"t"}}],)"
        R"("system":[{{"type":"text","text":"x-anthropic-billing-header: {}"}},{{"type":"text","text":"be good"}}]}})",
        billing);
    const auto parsed = parser_of("anthropic-parser").parse("/v1/messages", body, {});
    std::string scratch;
    return std::string{openai::prompt_text(parsed.value().fields, scratch)};
  };
  EXPECT_EQ(text_of("a=1"), text_of("a=222222"));
  EXPECT_EQ(
      text_of("a=1"),
      R"([{"name":"t"}][{"type":"text","text":""},{"type":"text","text":"be good"}][{"role":"user","content":"hi"}])");
}

TEST(RequestParser, TextWithMediaHasSoManyBytesAsTokens) {
  std::string body =
      R"({"model":"m","messages":[{"content":[{"text":"abc"},{"image_url":{"url":"u"}},{"text":"x"}]}]})";
  const auto parsed = parser_of("openai-parser").parse("/v1/chat/completions", body, {});
  ASSERT_TRUE(parsed);
  std::string scratch;
  const std::string_view text = openai::prompt_text(parsed->fields, scratch);
  const std::string_view before = R"([{"content":[{"text":"abc"},{"image_url":{"url":")";
  const std::string_view after = R"("}},{"text":"x"}]}])";
  const std::size_t aligned = (before.size() + 3) / 4 * 4;
  ASSERT_EQ(text.size(), aligned + 225 * 4 + after.size());
  EXPECT_TRUE(text.starts_with(before));
  EXPECT_TRUE(text.ends_with(after));
  EXPECT_EQ(text.substr(aligned, 4), text.substr(aligned + 224 * 4, 4)) << "the hash, once a token";
}

TEST(RequestParser, ReadsTheMediaThatAnotherHasProcessed) {
  std::string body =
      R"({"model":"m","features":{"mm_placeholders":{"image":[{"offset":1,"length":40},{"offset":50,"length":60}]},)"
      R"("mm_hashes":{"image":["h1","h2","h3"]}},"token_ids":[1,2,3]})";
  const auto parsed = parser_of("vllmhttp-parser").parse("/inference/v1/generate", body, {});
  ASSERT_TRUE(parsed);
  ASSERT_EQ(parsed->media.size(), 3U);
  EXPECT_EQ(parsed->media[1].hash, xxh64(std::string_view{"h2"}));
  EXPECT_EQ(parsed->media[0].weight, 40U);
  EXPECT_EQ(parsed->media[1].weight, 60U);
  EXPECT_EQ(parsed->media[2].weight, 1U) << "its place is not told";
}

std::string varints(std::initializer_list<std::uint64_t> values) {
  std::string out;
  for (std::uint64_t value : values) {
    for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
    out += static_cast<char>(value);
  }
  return out;
}

TEST(RequestParser, ReadsGenerateAndEmbedOfVllmsGrpc) {
  const std::string place = WireWriter{}.varint(1, 3).varint(2, 17).text();
  const std::string media = WireWriter{}.bytes(2, "tensor").bytes(5, place).bytes(6, "hash").text();
  std::string body = frame(WireWriter{}
                               .bytes(1, "req")
                               .bytes(3, "a text that the tokens replace")
                               .bytes(2, WireWriter{}.bytes(1, "text").bytes(2, varints({1, 300, 70'000})).text())
                               .bytes(2, WireWriter{}.varint(2, 9).text())
                               .bytes(4, WireWriter{}.varint(8, 64).text())
                               .varint(5, 1)
                               .bytes(7, media)
                               .bytes(8, R"({"remote_host":"evil"})")
                               .varint(9, 1)
                               .text());
  const std::string before = body;
  const RequestParser& parser = parser_of("vllmgrpc-parser");
  const auto parsed = parser.parse("/vllm.grpc.engine.VllmEngine/Generate", body, {});
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  EXPECT_EQ(body, before);
  EXPECT_EQ(parsed->fields.prompt_ids, (std::vector<TokenId>{1, 300, 70'000, 9}));
  EXPECT_EQ(parsed->fields.output_tokens_max, 64U);
  EXPECT_TRUE(parsed->fields.stream);
  EXPECT_FALSE(parsed->has_model);
  EXPECT_EQ(parsed->request_id, "req");
  ASSERT_EQ(parsed->media.size(), 1U);
  EXPECT_EQ(parsed->media[0].weight, 17U);
  EXPECT_EQ(parsed->answer, AnswerForm::kGenerateFrames);

  auto sent = rewrite_request(body, *parsed, {.model = "n"});
  ASSERT_TRUE(sent) << "the fields that steer go";
  EXPECT_EQ(sent->find("evil"), std::string::npos);
  const auto again = parser.parse("/vllm.grpc.engine.VllmEngine/Generate", *sent, {});
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->fields.prompt_ids, parsed->fields.prompt_ids);
  EXPECT_TRUE(again->fields.steering.empty());

  std::string embed = frame(WireWriter{}.bytes(2, WireWriter{}.bytes(2, varints({4, 5})).text()).text());
  const auto embedding = parser.parse("/vllm.grpc.engine.VllmEngine/Embed", embed, {});
  ASSERT_TRUE(embedding);
  EXPECT_EQ(embedding->fields.prompt_ids, (std::vector<TokenId>{4, 5}));
  EXPECT_EQ(embedding->answer, AnswerForm::kEmbedFrames);

  std::string text = frame(WireWriter{}.bytes(2, WireWriter{}.bytes(2, varints({4})).text()).bytes(3, "words").text());
  const auto words = parser.parse("/vllm.grpc.engine.VllmEngine/Generate", text, {});
  ASSERT_TRUE(words);
  EXPECT_EQ(words->fields.prompt, "words");
  EXPECT_TRUE(words->fields.prompt_ids.empty()) << "of the two the last counts";
}

TEST(RequestParser, RewritesTheJsonInsideVertexsGrpcWithAllLengths) {
  // Sizes on both sides of those at which a length takes another byte.
  for (const std::size_t size : {1U, 60U, 90U, 100U, 127U, 128U, 16'300U, 16'384U, 70'000U}) {
    const std::string json = fmt::format(R"({{"kv_transfer_params":{{}},"model":"m","messages":[{{"content":"{}"}}]}})",
                                         std::string(size, 'x'));
    const std::string http = WireWriter{}.bytes(1, "application/json").bytes(2, json).bytes(3, "any").text();
    std::string body = frame(WireWriter{}.bytes(1, "endpoint").bytes(2, http).text());
    const RequestParser& parser = parser_of("vertexai-parser");
    const std::string_view path = "/google.cloud.aiplatform.v1beta1.PredictionService/ChatCompletions";
    const auto parsed = parser.parse(path, body, {});
    ASSERT_TRUE(parsed) << parsed.error().to_string();
    EXPECT_EQ(parsed->fields.model, "m");
    EXPECT_EQ(parsed->answer, AnswerForm::kHttpBodyFrames);
    for (const std::size_t name : {1U, 70U, 20'000U}) {
      const std::string model(name, 'n');
      auto sent = rewrite_request(body, *parsed, {.model = model});
      ASSERT_TRUE(sent);
      const auto again = parser.parse(path, *sent, {});
      ASSERT_TRUE(again) << again.error().to_string() << " with " << size << " and " << name;
      EXPECT_EQ(again->fields.model, model);
      EXPECT_EQ(again->fields.prompt, parsed->fields.prompt);
      EXPECT_TRUE(again->fields.steering.empty());
      EXPECT_TRUE(sent->ends_with("any"));
    }
  }
}

TEST(RequestParser, ARewriteKeepsAllOtherBytes) {
  std::string body =
      R"({ "seed" : 9007199254740993, "b":1.10, "model" : "m","messages":[{"role":"user"}],"a":"\u00e9\/" })";
  const auto parsed = parser_of("openai-parser").parse("/v1/chat/completions", body, {});
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(rewrite_request(body, *parsed, {}));
  EXPECT_EQ(
      rewrite_request(body, *parsed, {.model = "other"}),
      R"({ "seed" : 9007199254740993, "b":1.10, "model" : "other","messages":[{"role":"user"}],"a":"\u00e9\/" })");
}

TEST(RequestParser, ReadsALargeBodyWithoutCopyingIt) {
  std::string body;
  body.reserve(13U << 20U);
  body += R"({"model":"m","messages":[{"role":"user","content":")";
  body.append(12U << 20U, 'x');
  body += R"("}],"max_tokens":5})";
  const char* const at = body.data();
  const auto parsed = parser_of("openai-parser").parse("/v1/chat/completions", body, {});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(body.data(), at);
  EXPECT_EQ(parsed->fields.prompt.data(), at + 24);
  EXPECT_EQ(parsed->fields.output_tokens_max, 5U);
}

}  // namespace
}  // namespace llmd::api
