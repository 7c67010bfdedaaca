// links: llmd_api
// Question: what does a request's body cost the endpoint picker, by protocol and size, and an answer that gets another
// model name? The number that matters: GB/s at 100 KB and more, and the microseconds of a body of 1 KB. Baseline:
// llm-d decodes each body twice into maps, 18.6 % of 3.3 cores at 10 requests/s of 100k tokens. Estimate before
// measuring: simdjson finds structure at 3 GB/s here, so 2 GB/s for text; token ids are digits one by one, 0.3 GB/s as
// JSON and 1 GB/s as varints; skipping strings 16 bytes at a time gives the rewriter 8 GB/s.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "api/requests/answer_model_rewriter.h"
#include "api/requests/request_parser.h"
#include "api/requests/usage_reader.h"
#include "base/protobuf_wire.h"
#include "base/rng.h"

namespace {

using namespace llmd;  // NOLINT(google-build-using-namespace): a program of one file

constexpr std::string_view kWords = R"(The quick brown fox says \"no\" and jumps over the lazy dog.\n)";

std::string words(std::size_t bytes) {
  std::string out;
  while (out.size() < bytes) out += kWords;
  return out;
}

/// Messages of 1,000 bytes each, as a conversation has them.
std::string messages(std::size_t bytes) {
  std::string out;
  for (std::size_t made = 0; made < bytes; made += 1'000) {
    out += fmt::format(R"({}{{"role":"{}","content":"{}"}})", out.empty() ? "" : ",",
                       made % 2'000 == 0 ? "user" : "assistant", words(std::min<std::size_t>(bytes - made, 940)));
  }
  return out;
}

std::string ids(std::size_t bytes) {
  Rng rng{3};
  std::string out;
  while (out.size() < bytes) out += fmt::format("{}{}", out.empty() ? "" : ",", rng.below(150'000));
  return out;
}

std::string frame(std::string_view message) {
  std::string out(1, '\0');
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(message.size() >> shift & 0xff);
  return out.append(message);
}

std::string packed_ids(std::size_t bytes) {
  Rng rng{3};
  std::string out;
  while (out.size() < bytes) {
    std::uint64_t value = rng.below(150'000);
    for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
    out += static_cast<char>(value);
  }
  return out;
}

struct Protocol {
  const char* name;
  std::string_view type;
  std::string_view path;
  std::string (*body)(std::size_t bytes);
};

constexpr Protocol kProtocols[] = {
    {"chat", "openai-parser", "/v1/chat/completions",
     [](std::size_t bytes) {
       return fmt::format(R"({{"model":"m","messages":[{}],"stream":true}})", messages(bytes));
     }},
    {"completions", "openai-parser", "/v1/completions",
     [](std::size_t bytes) { return fmt::format(R"({{"model":"m","prompt":"{}","max_tokens":9}})", words(bytes)); }},
    {"completions_ids", "openai-parser", "/v1/completions",
     [](std::size_t bytes) { return fmt::format(R"({{"model":"m","prompt":[{}],"max_tokens":9}})", ids(bytes)); }},
    {"responses", "openai-parser", "/v1/responses",
     [](std::size_t bytes) { return fmt::format(R"({{"model":"m","input":[{}],"stream":true}})", messages(bytes)); }},
    {"anthropic", "anthropic-parser", "/v1/messages",
     [](std::size_t bytes) {
       return fmt::format(R"({{"model":"m","max_tokens":9,"system":"be good","messages":[{}]}})", messages(bytes));
     }},
    {"vllm_generate", "vllmhttp-parser", "/inference/v1/generate",
     [](std::size_t bytes) { return fmt::format(R"({{"model":"m","token_ids":[{}]}})", ids(bytes)); }},
    {"sglang_generate", "sglanghttp-parser", "/generate",
     [](std::size_t bytes) { return fmt::format(R"({{"text":"{}","stream":true}})", words(bytes)); }},
    {"vllm_grpc", "vllmgrpc-parser", "/vllm.grpc.engine.VllmEngine/Generate",
     [](std::size_t bytes) {
       return frame(WireWriter{}.bytes(2, WireWriter{}.bytes(2, packed_ids(bytes)).text()).varint(5, 1).text());
     }},
    {"vertex", "vertexai-parser", "/google.cloud.aiplatform.v1.PredictionService/ChatCompletions",
     [](std::size_t bytes) {
       const std::string json = fmt::format(R"({{"model":"m","messages":[{}]}})", messages(bytes));
       return frame(WireWriter{}.bytes(2, WireWriter{}.bytes(2, json).text()).text());
     }},
    {"passthrough", "passthrough-parser", "/x", words},
};

void report(benchmark::State& state, std::size_t bytes) {
  state.counters["bytes/s"] = benchmark::Counter(static_cast<double>(bytes) * static_cast<double>(state.iterations()),
                                                 benchmark::Counter::kIsRate);
}

void parse(benchmark::State& state, const Protocol& protocol) {
  std::string body = protocol.body(static_cast<std::size_t>(state.range(0)));
  body.reserve(body.size() + 64);
  const api::RequestParser* parser = api::find_parser(protocol.type);
  std::size_t prompt = 0;
  for (auto _ : state) {
    auto parsed = parser->parse(protocol.path, body, {});
    if (!parsed) return state.SkipWithError(parsed.error().what.c_str());
    prompt = parsed->fields.prompt.size();
    benchmark::DoNotOptimize(parsed);
  }
  report(state, body.size());
  state.counters["prompt_share"] = static_cast<double>(prompt) / static_cast<double>(body.size());  // behaviour
}

std::string answer_of(std::size_t bytes) {
  return fmt::format(
      R"({{"id":"1","model":"m","choices":[{{"message":{{"content":"{}"}}}}],"usage":{{"prompt_tokens":1}}}})",
      words(bytes));
}
std::string embedding_of(std::size_t bytes) {
  return fmt::format(R"({{"object":"list","data":[{{"embedding":[{}]}}],"model":"m","usage":{{"prompt_tokens":1}}}})",
                     ids(bytes));
}
/// Events of one token each, as an engine streams them.
std::string events_of(std::size_t bytes) {
  constexpr std::string_view kEvent =
      "data: "
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{"
      "\"index\":0,"
      "\"delta\":{\"content\":\" the\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";
  std::string out;
  while (out.size() < bytes) out += kEvent;
  return out;
}

using Form = api::AnswerModelRewriter::Form;

void rewrite(benchmark::State& state, Form form, std::string (*answer)(std::size_t)) {
  const std::string text = answer(static_cast<std::size_t>(state.range(0)));
  std::string scratch;
  std::size_t sent = 0;
  for (auto _ : state) {
    api::AnswerModelRewriter rewriter{form, "the-name-asked-for"};
    sent = rewriter.rewrite(text, scratch).size();
    benchmark::DoNotOptimize(sent);
  }
  report(state, text.size());
  state.counters["growth"] = static_cast<double>(sent) / static_cast<double>(text.size());  // behaviour
}

/// One event a chunk.
void read_usage(benchmark::State& state) {
  const std::string text = events_of(1);
  for (auto _ : state) {
    api::UsageReader reader{api::AnswerForm::kText};
    for (int i = 0; i < 100; ++i) reader.read(text);
    benchmark::DoNotOptimize(reader.usage());
  }
  report(state, text.size() * 100);
}

}  // namespace

int main(int argc, char** argv) {
  constexpr std::int64_t kSizes[] = {1'000, 100'000, 1'000'000, 10'000'000};
  for (const Protocol& protocol : kProtocols) {
    auto* bench = benchmark::RegisterBenchmark(fmt::format("parse/{}", protocol.name).c_str(),
                                               [&protocol](benchmark::State& state) { parse(state, protocol); });
    for (const std::int64_t size : kSizes) bench->Arg(size);
  }
  benchmark::RegisterBenchmark("rewrite/text", [](benchmark::State& s) { rewrite(s, Form::kJson, answer_of); })
      ->Arg(1'000)
      ->Arg(1'000'000);
  benchmark::RegisterBenchmark("rewrite/embedding", [](benchmark::State& s) {
    rewrite(s, Form::kJson, embedding_of);
  })->Arg(1'000'000);
  benchmark::RegisterBenchmark("rewrite/events", [](benchmark::State& s) { rewrite(s, Form::kEvents, events_of); })
      ->Arg(200)
      ->Arg(1'000'000);
  benchmark::RegisterBenchmark("usage/100_events", read_usage);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
