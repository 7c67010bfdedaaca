// links: llmd_net llmd_runtime llmd_telemetry llmd_third_party_cli11
//
// An upstream that costs next to nothing: answers every POST with one canned chat completion of a given size, and GET
// /health, /v1/models and /metrics well enough for any router to accept it. It stands in for an engine when the
// question is what a router itself costs.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "net/server.h"
#include "runtime/loop.h"

namespace {

constexpr const char* kMetrics =
    "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model_name=\"canned\"} 0\n"
    "# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{model_name=\"canned\"} 0\n"
    "# TYPE vllm:kv_cache_usage_perc gauge\nvllm:kv_cache_usage_perc{model_name=\"canned\"} 0\n";

llmd::net::Response json_response(std::string body) {
  llmd::net::Response response{.status = 200, .headers = {}, .body = std::move(body)};
  response.headers.add("Content-Type", "application/json");
  return response;
}

}  // namespace

int main(int argc, char** argv) {
  std::string listen = "127.0.0.1:9100";
  std::size_t answer_bytes = 1'024;
  CLI::App app{"An upstream with a canned answer, for measuring routers"};
  app.add_option("--listen", listen);
  app.add_option("--answer-bytes", answer_bytes, "of the answer's text");
  CLI11_PARSE(app, argc, argv);
  const auto address = llmd::net::Address::parse(listen);
  if (!address) {
    std::fprintf(stderr, "llmd-canned_server: %s\n", address.error().to_string().c_str());
    return 2;
  }
  std::string answer = R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"canned","choices":)";
  answer += R"([{"index":0,"message":{"role":"assistant","content":")";
  answer.append(answer_bytes, 'x');
  answer += R"("},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":10,"total_tokens":20}})";
  llmd::Loop loop{"canned"};
  auto handler = [&](llmd::net::Request request, llmd::net::Exchange& exchange) -> llmd::Task<void> {
    if (request.method == "POST") {
      (void)co_await exchange.respond(json_response(answer));
    } else if (request.path() == "/metrics") {
      llmd::net::Response page{.status = 200, .headers = {}, .body = kMetrics};
      (void)co_await exchange.respond(std::move(page));
    } else {
      (void)co_await exchange.respond(json_response(R"({"object":"list","data":[{"id":"canned","object":"model"}]})"));
    }
  };
  auto server = llmd::net::Server::listen({&loop}, {.listen = *address}, handler);
  if (!server) {
    std::fprintf(stderr, "llmd-canned_server: %s\n", server.error().to_string().c_str());
    return 1;
  }
  std::printf("listening on %s\n", (*server)->address().to_string().c_str());
  std::fflush(stdout);
  loop.run();
  return 0;
}
