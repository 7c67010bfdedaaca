#include "apps/sim/prober.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "net/sse.h"

namespace llmd::sim {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kErrorBytesMax = 64 * 1024;
constexpr std::size_t kTokensMax = 65'536;  // of one answer

std::uint32_t count_of(const Json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_number_unsigned()) return 0;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(object[key].get<std::uint64_t>(), UINT32_MAX));
}

std::string body_of(const ProbeTarget& target, const Probe& probe) {
  const Json body{{"model", target.model},
                  {"prompt", probe.prompt},
                  {"max_tokens", probe.max_tokens},
                  {"temperature", 0},
                  {"ignore_eos", true},
                  {"stream", true},
                  {"stream_options", {{"include_usage", true}}}};
  return body.dump();
}

}  // namespace

Result<bool> take_event(std::string_view data, TimePoint now, ProbeAnswer& answer) {
  if (data == "[DONE]") return false;
  const Json event = Json::parse(data, nullptr, /*allow_exceptions=*/false);
  if (!event.is_object()) return fail(ErrorCode::kProtocol, "an event of the stream is not a JSON object");
  if (event.contains("error")) return fail(ErrorCode::kUpstreamFailed, "the stream ended with an error of the server");
  if (event.contains("usage") && event["usage"].is_object()) {
    const Json& usage = event["usage"];
    answer.prompt_tokens = count_of(usage, "prompt_tokens");
    if (usage.contains("prompt_tokens_details"))
      answer.cached_tokens = count_of(usage["prompt_tokens_details"], "cached_tokens");
  }
  if (!event.contains("choices") || !event["choices"].is_array() || event["choices"].empty()) return true;
  const Json& choice = event["choices"][0];
  if (!choice.is_object() || !choice.contains("text") || !choice["text"].is_string()) return true;
  if (choice["text"].get_ref<const std::string&>().empty()) return true;
  if (answer.tokens.size() == kTokensMax) return fail(ErrorCode::kProtocol, "the stream has no end");
  answer.tokens.push_back(now);
  return true;
}

Prober::Prober(ProbeTarget target) : target_{std::move(target)} {}

Result<std::vector<ProbeAnswer>> Prober::ask(const std::vector<Probe>& probes, TimePoint deadline) {
  if (SteadyClock::now() >= deadline) return fail(ErrorCode::kDeadlineExceeded, "the time is over");
  net::CancelToken token;
  Timer timer{loop_.context()};
  bool expired = false;
  timer.expires_at(deadline);
  timer.async_wait([&](const boost::system::error_code& error) {
    if (error) return;
    expired = true;
    token.cancel();
  });
  std::vector<std::optional<Result<ProbeAnswer>>> answers(probes.size());
  std::size_t left = probes.size();
  const auto run = [&](std::size_t index) -> Task<void> {
    answers[index].emplace(co_await ask_one(probes[index], token));
    if (--left == 0) loop_.stop();
  };
  for (std::size_t i = 0; i < probes.size(); ++i) loop_.spawn(run(i));
  loop_.run();
  if (expired) return fail(ErrorCode::kDeadlineExceeded, "the time is over");
  std::vector<ProbeAnswer> all;
  for (auto& answer : answers) {
    if (!*answer) return std::unexpected(std::move(*answer).error());
    all.push_back(std::move(**answer));
  }
  return all;
}

Task<Result<ProbeAnswer>> Prober::ask_one(const Probe& probe, net::CancelToken& token) {
  net::Headers headers;
  headers.add("Content-Type", "application/json");
  if (!target_.authorization.empty()) headers.add("Authorization", target_.authorization);
  const std::string body = body_of(target_, probe);
  const net::ClientRequest request{.method = "POST", .target = "/v1/completions", .headers = &headers, .body = body};
  ProbeAnswer answer{.sent = SteadyClock::now(), .tokens = {}};
  auto response = co_await client_.send(target_.address, request, &token);
  if (!response) co_return std::unexpected(std::move(response).error());
  if (const int status = (*response)->status(); status != 200) {
    const auto text = co_await (*response)->read_all(kErrorBytesMax);
    co_return fail(ErrorCode::kUpstreamFailed,
                   fmt::format("the server answered {}: {}", status, text ? text->substr(0, 256) : std::string{}));
  }
  const Result<void> read = co_await read_stream(**response, answer);
  if (!read) co_return std::unexpected(read.error());
  if (answer.prompt_tokens == 0 || answer.tokens.empty())
    co_return fail(ErrorCode::kUpstreamFailed, "the server's stream has no text or no usage");
  co_return answer;
}

Task<Result<void>> Prober::read_stream(net::ClientResponse& response, ProbeAnswer& answer) {
  net::SseParser parser;
  while (true) {
    const auto piece = co_await response.read();
    if (!piece) co_return std::unexpected(piece.error());
    const TimePoint now = SteadyClock::now();
    if (piece->empty()) co_return fail(ErrorCode::kProtocol, "the answer ended without [DONE]");
    const auto events = parser.feed(*piece);
    if (!events) co_return std::unexpected(events.error());
    for (const net::SseEvent& event : *events) {
      const Result<bool> more = take_event(event.data, now, answer);
      if (!more) co_return std::unexpected(more.error());
      if (*more) continue;
      const auto rest = co_await response.read_all(kErrorBytesMax);  // so that the connection is used again
      if (!rest) co_return std::unexpected(rest.error());
      co_return Result<void>{};
    }
  }
}

}  // namespace llmd::sim
