#include "apps/chat/conversation.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "net/client.h"
#include "net/sse.h"
#include "runtime/loop.h"

namespace llmd::chat {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kErrorBytesMax = 64 * 1024;

/// What a server's error says, or the whole body if it is no error of the usual shape.
Error server_error(int status, std::string_view body) {
  const Json parsed = Json::parse(body, nullptr, false);
  std::string what = fmt::format("the server answered {}", status);
  if (parsed.is_object() && parsed.contains("error") && parsed["error"].is_object()) {
    what += ": " + parsed["error"].value("message", std::string{});
  }
  return {.code = ErrorCode::kUpstreamFailed, .what = std::move(what)};
}

/// One question on a loop of its own.
struct Question {
  net::Address server;
  std::string body;
  std::string authorization;
  const std::function<void(std::string_view)>& on_text;

  Task<Result<std::string>> run(net::Client& client) const {
    net::Headers headers;
    headers.add("Content-Type", "application/json");
    if (!authorization.empty()) headers.add("Authorization", authorization);
    auto response = co_await client.send(
        server, {.method = "POST", .target = "/v1/chat/completions", .headers = &headers, .body = body}, nullptr);
    if (!response) co_return std::unexpected(std::move(response).error());
    if ((*response)->status() != 200) {
      const auto text = co_await (*response)->read_all(kErrorBytesMax);
      co_return std::unexpected(server_error((*response)->status(), text ? *text : std::string{}));
    }
    co_return co_await read_stream(**response);
  }

  Task<Result<std::string>> read_stream(net::ClientResponse& response) const {
    net::SseParser parser;
    std::string answer;
    while (true) {
      const auto piece = co_await response.read();
      if (!piece) co_return std::unexpected(piece.error());
      if (piece->empty()) co_return fail(ErrorCode::kProtocol, "the answer ended without [DONE]");
      const auto events = parser.feed(*piece);
      if (!events) co_return std::unexpected(events.error());
      for (const net::SseEvent& event : *events) {
        const auto text = text_of_event(event.data);
        if (!text) co_return std::unexpected(text.error());
        if (!*text) co_return answer;
        on_text(**text);
        answer += **text;
      }
    }
  }
};

}  // namespace

Result<std::optional<std::string>> text_of_event(std::string_view data) {
  if (data == "[DONE]") return std::nullopt;
  const Json event = Json::parse(data, nullptr, false);
  if (!event.is_object()) return fail(ErrorCode::kProtocol, "an event of the stream is not a JSON object");
  if (event.contains("error")) return std::unexpected(server_error(200, data));
  if (!event.contains("choices") || !event["choices"].is_array() || event["choices"].empty()) return std::string{};
  const Json& choice = event["choices"][0];
  if (!choice.is_object() || !choice.contains("delta") || !choice["delta"].is_object()) return std::string{};
  const Json& delta = choice["delta"];
  if (!delta.contains("content") || !delta["content"].is_string()) return std::string{};
  return delta["content"].get<std::string>();
}

Conversation::Conversation(net::Address server, Settings settings)
    : server_{std::move(server)}, settings_{std::move(settings)} {}

std::string Conversation::request_body(std::string_view question) const {
  Json messages = Json::array();
  if (!settings_.system.empty()) messages.push_back({{"role", "system"}, {"content", settings_.system}});
  for (const auto& [asked, answered] : turns_) {
    messages.push_back({{"role", "user"}, {"content", asked}});
    messages.push_back({{"role", "assistant"}, {"content", answered}});
  }
  messages.push_back({{"role", "user"}, {"content", question}});
  Json body{{"model", settings_.model},
            {"messages", std::move(messages)},
            {"stream", true},
            {"temperature", settings_.temperature}};
  if (settings_.max_tokens > 0) body["max_tokens"] = settings_.max_tokens;
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<void> Conversation::ask(std::string_view question, const std::function<void(std::string_view)>& on_text) {
  const Question asked{.server = server_,
                       .body = request_body(question),
                       .authorization = settings_.api_key.empty() ? std::string{} : "Bearer " + settings_.api_key,
                       .on_text = on_text};
  Loop loop{"chat"};
  Result<std::string> answer = fail(ErrorCode::kInternal, "the question was never sent");
  {
    net::Client client{loop, {}};
    auto run = [&]() -> Task<void> {
      answer = co_await asked.run(client);
      loop.stop();
    };
    loop.spawn(run());
    loop.run();
  }
  if (!answer) return std::unexpected(std::move(answer).error());
  turns_.emplace_back(std::string{question}, *std::move(answer));
  return {};
}

}  // namespace llmd::chat
