// links: llmd_net llmd_runtime llmd_telemetry llmd_third_party_nlohmann llmd_third_party_cli11
//
// Closed-loop load for any OpenAI-compatible server: N clients, each sending its next request when its last one ended.
// Prints one JSON object: tokens/s, requests/s, TTFT and TPOT percentiles, errors. Loopback only, bounded in requests
// and time.
//
// Question: how many tokens per second, and how evenly, does a server deliver on one mix? The numbers that matter:
// output tokens/s, TTFT p50 and TPOT p99. Prompts are token ids drawn from a seed, so every server computes exactly the
// same work.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/rng.h"
#include "net/client.h"
#include "net/sse.h"
#include "runtime/loop.h"

namespace {

using llmd::Rng;
using llmd::SteadyClock;
using llmd::TimePoint;
using llmd::to_milliseconds;
using nlohmann::json;

struct Options {
  std::string url = "127.0.0.1:8080";
  std::string workload = "unique";
  std::string model = "default";
  std::uint32_t clients = 1;
  std::uint32_t requests = 16;
  std::uint32_t prompt_tokens = 500;
  std::uint32_t output_tokens = 64;
  std::uint32_t seconds_max = 300;
  std::uint32_t body_bytes = 1'024;   // of workload "router"
  std::string prefiller;              // of workload "router": x-prefiller-host-port; empty: no such header
  std::uint32_t vocab_first = 1'000;  // plain-text ids of the vocabulary: [first, last)
  std::uint32_t vocab_last = 20'000;
  std::uint64_t seed = 1;
};

struct Sample {
  double ttft_ms = 0;
  double total_ms = 0;
  std::uint32_t tokens = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;
  std::string error;
};

std::vector<int> draw_tokens(Rng& rng, std::uint32_t count, const Options& options) {
  std::vector<int> tokens(count);
  for (int& token : tokens) {
    token = static_cast<int>(options.vocab_first + rng.below(options.vocab_last - options.vocab_first));
  }
  return tokens;
}

/// The prompt of request `index`: a function of the seed and the index alone, so that every server gets the same.
json make_prompt(const Options& options, std::uint32_t index) {
  Rng rng{options.seed * 1'000'003 + index};
  if (options.workload == "shared") {
    constexpr std::uint32_t kPrefixes = 8;
    Rng prefix_rng{options.seed * 7'919 + index % kPrefixes};
    auto tokens = draw_tokens(prefix_rng, options.prompt_tokens, options);
    const auto suffix = draw_tokens(rng, static_cast<std::uint32_t>(16 + rng.below(49)), options);
    tokens.insert(tokens.end(), suffix.begin(), suffix.end());
    return tokens;
  }
  return draw_tokens(rng, options.prompt_tokens, options);
}

json completion_body(const Options& options, const json& prompt) {
  return {
      {"model", options.model}, {"prompt", prompt}, {"max_tokens", options.output_tokens},         {"temperature", 0},
      {"ignore_eos", true},     {"stream", true},   {"stream_options", {{"include_usage", true}}}, {"seed", 1},
      {"cache_prompt", true}};
}

void take_usage(const json& usage, Sample& sample) {
  sample.tokens = usage.value("completion_tokens", 0U);
  sample.prompt_tokens = usage.value("prompt_tokens", 0U);
  const auto details = usage.find("prompt_tokens_details");
  if (details != usage.end() && details->is_object()) sample.cached_tokens = details->value("cached_tokens", 0U);
}

/// The text that one event of a stream carries. Fills the sample.
std::string take_event(const std::string& data, TimePoint begin, Sample& sample) {
  const json chunk = json::parse(data, nullptr, false);
  if (chunk.is_discarded() || chunk.contains("error")) {
    sample.error = "error event: " + data;
    return {};
  }
  if (chunk.contains("usage") && chunk["usage"].is_object()) take_usage(chunk["usage"], sample);
  if (!chunk.contains("choices") || chunk["choices"].empty()) return {};
  const json& choice = chunk["choices"][0];
  if (sample.ttft_ms == 0) sample.ttft_ms = to_milliseconds(SteadyClock::now() - begin);
  const json& part = choice.contains("delta") ? choice["delta"] : choice;
  for (const char* key : {"text", "content"}) {
    if (part.contains(key) && part[key].is_string()) return part[key].get<std::string>();
  }
  return {};
}

/// Reads one streamed answer; returns the text and fills the sample.
llmd::Task<std::string> read_stream(llmd::net::ClientResponse& response, TimePoint begin, Sample& sample) {
  llmd::net::SseParser parser;
  std::string text;
  while (sample.error.empty()) {
    const auto piece = co_await response.read();
    if (!piece) sample.error = piece.error().to_string();
    if (!piece || piece->empty()) break;
    const auto events = parser.feed(*piece);
    if (!events) {
      sample.error = events.error().to_string();
      break;
    }
    for (const auto& event : *events) {
      if (event.data != "[DONE]") text += take_event(event.data, begin, sample);
    }
  }
  sample.total_ms = to_milliseconds(SteadyClock::now() - begin);
  co_return text;
}

/// A chat of about `body_bytes` bytes, not streamed: half of it shared with other requests, as system prompts are.
std::string router_body(const Options& options, std::uint32_t index) {
  static constexpr const char* kWords[] = {"river ", "music ", "winter ", "engine ", "garden ", "history ", "planet "};
  constexpr std::uint32_t kStems = 16;
  const auto write = [](std::uint64_t seed, std::size_t bytes) {
    Rng rng{seed};
    std::string text;
    while (text.size() < bytes) text += kWords[rng.below(std::size(kWords))];
    return text;
  };
  const json messages =
      json::array({{{"role", "system"}, {"content", write(options.seed + index % kStems, options.body_bytes / 2)}},
                   {{"role", "user"}, {"content", write(options.seed * 1'000'003 + index, options.body_bytes / 2)}}});
  return json{{"model", options.model}, {"messages", messages}, {"max_tokens", options.output_tokens}}.dump();
}

class Load {
 public:
  Load(llmd::Loop& loop, const Options& options, llmd::net::Address address)
      : loop_{loop}, options_{options}, address_{std::move(address)}, client_{loop, {}} {}

  void start() {
    begin_ = SteadyClock::now();
    for (std::uint32_t i = 0; i < options_.clients; ++i) {
      ++running_;
      loop_.spawn(run_client(i));
    }
  }

  [[nodiscard]] json report() const;

 private:
  llmd::Task<void> run_client(std::uint32_t client_index) {
    if (options_.workload == "chat") {
      co_await run_chat(client_index);
    } else if (options_.workload == "router") {
      // Written beforehand: what is measured is the server.
      std::vector<std::string> bodies;
      for (std::uint32_t i = 0; i < 64; ++i) bodies.push_back(router_body(options_, client_index * 64 + i));
      while (next_ < options_.requests && !out_of_time()) co_await send_whole(bodies[next_++ % bodies.size()]);
    } else {
      while (next_ < options_.requests && !out_of_time()) {
        const json body = completion_body(options_, make_prompt(options_, next_++));
        (void)co_await send("/v1/completions", body);
      }
    }
    if (--running_ == 0) loop_.stop();
  }

  /// Multi-turn chat: each conversation has `requests / clients` turns and resends its whole history.
  llmd::Task<void> run_chat(std::uint32_t client_index) {
    json messages =
        json::array({{{"role", "system"}, {"content", "You are a helpful assistant. Answer in full sentences."}}});
    const std::uint32_t turns = std::max(1U, options_.requests / options_.clients);
    for (std::uint32_t turn = 0; turn < turns && !out_of_time(); ++turn) {
      std::string question = "Question " + std::to_string(client_index) + "." + std::to_string(turn) + ":";
      Rng rng{options_.seed * 31 + client_index * 1'000 + turn};
      static constexpr const char* kWords[] = {"river",  "music",   "winter", "engine",
                                               "garden", "history", "planet", "window"};
      for (int i = 0; i < 40; ++i) question += std::string{" "} + kWords[rng.below(std::size(kWords))];
      messages.push_back({{"role", "user"}, {"content", question + "?"}});
      json body = completion_body(options_, nullptr);
      body.erase("prompt");
      body["messages"] = messages;
      const std::string answer = co_await send("/v1/chat/completions", body);
      messages.push_back({{"role", "assistant"}, {"content", answer}});
    }
  }

  llmd::Task<std::string> send(const char* target, const json& body) {
    Sample sample;
    const std::string bytes = body.dump();
    llmd::net::Headers headers;
    headers.add("Content-Type", "application/json");
    const TimePoint begin = SteadyClock::now();
    std::string text;
    auto response = co_await client_.send(
        address_, {.method = "POST", .target = target, .headers = &headers, .body = bytes}, nullptr);
    if (!response) {
      sample.error = response.error().to_string();
    } else if ((*response)->status() != 200) {
      auto rest = co_await (*response)->read_all(65'536);
      sample.error = std::to_string((*response)->status()) + " " + rest.value_or("");
    } else {
      text = co_await read_stream(**response, begin, sample);
    }
    end_ = SteadyClock::now();
    samples_.push_back(std::move(sample));
    co_return text;
  }

  llmd::Task<void> send_whole(const std::string& body) {
    Sample sample;
    llmd::net::Headers headers;
    headers.add("Content-Type", "application/json");
    if (!options_.prefiller.empty()) headers.add("x-prefiller-host-port", options_.prefiller);
    const TimePoint begin = SteadyClock::now();
    auto response = co_await client_.send(
        address_, {.method = "POST", .target = "/v1/chat/completions", .headers = &headers, .body = body}, nullptr);
    if (!response) {
      sample.error = response.error().to_string();
    } else {
      auto rest = co_await (*response)->read_all(1U << 20U);
      if (!rest) sample.error = rest.error().to_string();
      if ((*response)->status() != 200) sample.error = std::to_string((*response)->status()) + " " + rest.value_or("");
    }
    end_ = SteadyClock::now();
    sample.total_ms = to_milliseconds(end_ - begin);
    samples_.push_back(std::move(sample));
  }

  [[nodiscard]] bool out_of_time() const {
    return SteadyClock::now() - begin_ > std::chrono::seconds{options_.seconds_max};
  }

  llmd::Loop& loop_;
  const Options& options_;
  llmd::net::Address address_;
  llmd::net::Client client_;
  TimePoint begin_{};
  TimePoint end_{};
  std::uint32_t next_ = 0;
  std::uint32_t running_ = 0;
  std::vector<Sample> samples_;
};

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

json Load::report() const {
  std::vector<double> ttft;
  std::vector<double> tpot;
  std::vector<double> latency;
  std::uint64_t tokens = 0;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t cached_tokens = 0;
  json errors = json::array();
  for (const Sample& sample : samples_) {
    if (!sample.error.empty()) {
      if (errors.size() < 5) errors.push_back(sample.error);
      continue;
    }
    tokens += sample.tokens;
    prompt_tokens += sample.prompt_tokens;
    cached_tokens += sample.cached_tokens;
    ttft.push_back(sample.ttft_ms);
    latency.push_back(sample.total_ms);
    if (sample.tokens > 1) tpot.push_back((sample.total_ms - sample.ttft_ms) / (sample.tokens - 1));
  }
  const double seconds = llmd::to_seconds(end_ - begin_);
  return {{"workload", options_.workload},
          {"clients", options_.clients},
          {"requests", samples_.size()},
          {"failed", samples_.size() - ttft.size()},
          {"errors", errors},
          {"seconds", seconds},
          {"output_tokens", tokens},
          {"prompt_tokens", prompt_tokens},
          {"cached_tokens", cached_tokens},
          {"output_tokens_per_second", static_cast<double>(tokens) / seconds},
          {"total_tokens_per_second", static_cast<double>(tokens + prompt_tokens) / seconds},
          {"requests_per_second", static_cast<double>(latency.size()) / seconds},
          {"latency_ms", {{"p50", percentile(latency, 0.5)}, {"p99", percentile(latency, 0.99)}}},
          {"ttft_ms", {{"p50", percentile(ttft, 0.5)}, {"p99", percentile(ttft, 0.99)}}},
          {"tpot_ms", {{"p50", percentile(tpot, 0.5)}, {"p99", percentile(tpot, 0.99)}}}};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Closed-loop load for an OpenAI-compatible server on loopback"};
  app.add_option("--url", options.url, "host:port or unix:/path");
  app.add_option("--workload", options.workload,
                 "unique, shared (8 prefixes), chat, or router (whole chats, not streamed)")
      ->check(CLI::IsMember({"unique", "shared", "chat", "router"}));
  app.add_option("--model", options.model);
  app.add_option("--clients", options.clients)->check(CLI::Range(1, 1'000));
  app.add_option("--requests", options.requests)->check(CLI::Range(1, 100'000));
  app.add_option("--prompt-tokens", options.prompt_tokens, "of a unique prompt, or of a shared prefix");
  app.add_option("--output-tokens", options.output_tokens);
  app.add_option("--body-bytes", options.body_bytes, "of a request of workload router");
  app.add_option("--prefiller", options.prefiller, "x-prefiller-host-port of each request of workload router");
  app.add_option("--seconds-max", options.seconds_max, "no new request after it");
  app.add_option("--seed", options.seed);
  CLI11_PARSE(app, argc, argv);
  auto address = llmd::net::Address::parse(options.url);
  if (!address) {
    std::fprintf(stderr, "llmd-loadgen: %s\n", address.error().to_string().c_str());
    return 2;
  }
  if (!address->is_loopback()) {
    std::fprintf(stderr, "llmd-loadgen: %s is not loopback; load goes to this machine only\n", options.url.c_str());
    return 2;
  }
  llmd::Loop loop{"loadgen"};
  Load load{loop, options, *address};
  load.start();
  loop.run();
  std::printf("%s\n", load.report().dump().c_str());
  return 0;
}
