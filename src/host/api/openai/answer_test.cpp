#include "api/openai/answer.h"

#include <gtest/gtest.h>

#include <string>

#include "api/openai/chat_answer.h"
#include "api/openai/completion_answer.h"
#include "api/openai/embedding_answer.h"
#include "api/openai/error.h"
#include "api/openai/model_list.h"
#include "api/openai/tokenize_answer.h"

namespace llmd::openai {
namespace {

const AnswerHead kHead{.id = "chatcmpl-1", .model = "m", .created = 7};
const Usage kUsage{.prompt_tokens = 3, .completion_tokens = 2, .cached_tokens = 1};
constexpr std::string_view kUsageJson =
    R"("usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1}})";

TEST(ChatAnswer, IsOpenAisObject) {
  ChatChoice choice{.content = "a\"b", .finish_reason = "stop", .stop_reason = "END"};
  choice.logprobs = {TokenLogprobs{.chosen = {.token = 1, .text = "\xc3", .logprob = -0.5F},
                                   .top = {{.token = 1, .text = "x", .logprob = -0.5F}}}};
  std::string out;
  append_chat_completion(out, kHead, {&choice, 1}, kUsage);
  EXPECT_EQ(out, R"({"id":"chatcmpl-1","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,)"
                 R"("message":{"role":"assistant","content":"a\"b","refusal":null},"logprobs":{"content":[)"
                 "{\"token\":\"\xEF\xBF\xBD\",\"logprob\":-0.5,\"bytes\":[195],"
                 R"("top_logprobs":[{"token":"x","logprob":-0.5,"bytes":[120]}]}],"refusal":null},)"
                 R"("finish_reason":"stop","stop_reason":"END"}],)" +
                     std::string{kUsageJson} + "}");
}

TEST(ChatAnswer, HasNullContentBesideToolCalls) {
  const ChatChoice choice{.tool_calls = {{.id = "c", .name = "f", .arguments = "{}"}}, .finish_reason = "tool_calls"};
  std::string out;
  append_chat_completion(out, kHead, {&choice, 1}, kUsage);
  EXPECT_NE(out.find(R"("content":null,"refusal":null,"tool_calls":[{"id":"c","type":"function",)"
                     R"("function":{"name":"f","arguments":"{}"}}]})"),
            std::string::npos)
      << out;
}

TEST(ChatAnswer, CarriesKvTransferParamsWhenGiven) {
  const ChatChoice choice{.content = "a", .finish_reason = "length"};
  const KvTransferParams params{
      .do_remote_prefill = true, .remote_block_ids = {{4}}, .remote_host = "h", .remote_port = 9};
  std::string out;
  append_chat_completion(out, kHead, {&choice, 1}, kUsage, &params);
  EXPECT_NE(
      out.find(R"("kv_transfer_params":{"do_remote_prefill":true,"do_remote_decode":false,"remote_block_ids":[[4]],)"
               R"("remote_engine_id":"","remote_request_id":"","remote_host":"h","remote_port":9,)"
               R"("remote_num_tokens":0,"tp_size":1}})"),
      std::string::npos)
      << out;
}

TEST(ChatStream, IsOneEventAChunk) {
  const ChatStreamWriter writer{kHead, /*include_usage=*/true};
  std::string out;
  writer.append_chunk(out, {.index = 1, .role = true});
  writer.append_chunk(out, {.index = 1, .content = "hi"});
  writer.append_chunk(out, {.index = 1, .tool_calls = {{.index = 0, .id = "c", .name = "f", .arguments = "{"}}});
  writer.append_chunk(out, {.index = 1, .tool_calls = {{.index = 0, .arguments = "}"}}});
  writer.append_chunk(out, {.index = 1, .finish_reason = "stop"});
  writer.append_usage_chunk(out, kUsage);
  const std::string head =
      R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"m","choices":[)";
  const std::string tail = R"(,"logprobs":null,"finish_reason":null}],"usage":null})"
                           "\n\n";
  EXPECT_EQ(out,
            head + R"({"index":1,"delta":{"role":"assistant","content":""})" + tail +  //
                head + R"({"index":1,"delta":{"content":"hi"})" + tail +               //
                head +
                R"({"index":1,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":)"
                R"({"name":"f","arguments":"{"}}]})" +
                tail +  //
                head + R"({"index":1,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]})" + tail + head +
                R"({"index":1,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null})"
                "\n\n" +
                head + "]," + std::string{kUsageJson} + "}\n\n");
}

TEST(ChatStream, HasNullContentInAFirstChunkThatBeginsAToolCall) {
  const ChatStreamWriter writer{kHead, /*include_usage=*/false};
  std::string out;
  writer.append_chunk(out, {.role = true, .tool_calls = {{.index = 0, .id = "c", .name = "f"}}});
  EXPECT_NE(
      out.find(R"("delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"c","type":"function",)"
               R"("function":{"name":"f","arguments":""}}]})"),
      std::string::npos)
      << out;
}

TEST(CompletionAnswer, WritesLogprobsAsColumns) {
  CompletionChoice choice{.index = 0, .text = "ab", .finish_reason = "length"};
  choice.logprobs = CompletionLogprobs{
      .entries = {{.text = "a", .logprob = std::nullopt, .text_offset = 0},
                  {.text = "b", .logprob = -1.0F, .top = {{1, "b", -1.0F}, {2, "b", -2.0F}}, .text_offset = 1}}};
  std::string out;
  append_completion(out, {.id = "cmpl-1", .model = "m", .created = 7}, {&choice, 1}, kUsage);
  EXPECT_EQ(out,
            R"({"id":"cmpl-1","object":"text_completion","created":7,"model":"m","choices":[{"index":0,"text":"ab",)"
            R"("logprobs":{"tokens":["a","b"],"token_logprobs":[null,-1],"top_logprobs":[null,{"b":-1}],)"
            R"("text_offset":[0,1]},"finish_reason":"length"}],)" +
                std::string{kUsageJson} + "}");
}

TEST(CompletionStream, EndsWithTheUsageEventThatWasAskedFor) {
  const CompletionStreamWriter writer{{.id = "cmpl-1", .model = "m", .created = 7}, /*include_usage=*/false};
  std::string out;
  writer.append_chunk(out, {.index = 2, .text = "x"});
  EXPECT_EQ(out, R"(data: {"id":"cmpl-1","object":"text_completion","created":7,"model":"m","choices":[{"index":2,)"
                 R"("text":"x","logprobs":null,"finish_reason":null}]})"
                 "\n\n");
}

TEST(EmbeddingAnswer, WritesFloatsOrBase64) {
  const std::vector<float> vectors[] = {{1.0F, -0.5F}};
  std::string floats;
  append_embeddings(floats, {.model = "m", .vectors = vectors, .prompt_tokens = 4});
  EXPECT_EQ(floats, R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,-0.5]}],"model":"m",)"
                    R"("usage":{"prompt_tokens":4,"total_tokens":4}})");
  std::string base64;
  append_embeddings(base64, {.model = "m", .vectors = vectors, .base64 = true, .prompt_tokens = 4});
  EXPECT_NE(base64.find(R"("embedding":"AACAPwAAAL8=")"), std::string::npos) << base64;
}

TEST(ModelList, NamesEachModel) {
  const ModelCard cards[] = {{.id = "a", .created = 1, .context_tokens = 2048}, {.id = "b", .created = 2}};
  std::string out;
  append_model_list(out, cards);
  EXPECT_EQ(
      out, R"({"object":"list","data":[{"id":"a","object":"model","created":1,"owned_by":"llmd","max_model_len":2048},)"
           R"({"id":"b","object":"model","created":2,"owned_by":"llmd"}]})");
}

TEST(TokenizeAnswer, HasStringsOnRequestOnly) {
  const TokenId tokens[] = {1, 2};
  const std::string strings[] = {"a", "\""};
  std::string plain;
  append_tokenized(plain, {.tokens = tokens, .context_tokens = 9});
  EXPECT_EQ(plain, R"({"count":2,"max_model_len":9,"tokens":[1,2],"token_strs":null})");
  std::string rich;
  append_tokenized(rich, {.tokens = tokens, .context_tokens = 9, .with_strings = true, .strings = strings});
  EXPECT_EQ(rich, R"({"count":2,"max_model_len":9,"tokens":[1,2],"token_strs":["a","\""]})");
}

struct ErrorRow {
  const char* name;
  Error error;
  int status;
  const char* json;
  bool retry;
};

TEST(ErrorAnswer, HasOpenAisShapeStatusAndCode) {
  const ErrorRow table[] = {
      {"param",
       {.code = ErrorCode::kInvalidRequest, .what = "n is 0; expected 1", .param = "n"},
       400,
       R"({"error":{"message":"n is 0; expected 1","type":"invalid_request_error","param":"n",)"
       R"("code":"invalid_request"}})",
       false},
      {"model",
       {.code = ErrorCode::kModelNotFound, .what = "no \"x\"", .hint = "see /v1/models"},
       404,
       R"x({"error":{"message":"no \"x\" (see /v1/models)","type":"invalid_request_error",)x"
       R"("param":null,"code":"model_not_found"}})",
       false},
      {"overloaded",
       {.code = ErrorCode::kOverloaded, .what = "full"},
       429,
       R"({"error":{"message":"full","type":"rate_limit_error","param":null,"code":"overloaded"}})",
       true},
      {"draining",
       {.code = ErrorCode::kShuttingDown, .what = "stops"},
       503,
       R"({"error":{"message":"stops","type":"server_error","param":null,"code":"shutting_down"}})",
       true},
      {"internal",
       {.code = ErrorCode::kIo, .what = "/secret/path"},
       500,
       R"({"error":{"message":"the server could not answer (io); its log has the details","type":"server_error",)"
       R"("param":null,"code":"io"}})",
       false},
  };
  for (const ErrorRow& row : table) {
    SCOPED_TRACE(row.name);
    const ErrorAnswer answer = render_error(row.error);
    EXPECT_EQ(answer.status, row.status);
    EXPECT_EQ(answer.json, row.json);
    EXPECT_EQ(answer.retry_after_s.has_value(), row.retry);
  }
}

}  // namespace
}  // namespace llmd::openai
