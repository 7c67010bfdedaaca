#include "api/conversion/dialect.h"

#include <utility>

#include "api/anthropic/error.h"
#include "api/openai/answer.h"
#include "api/openai/json_writer.h"
#include "api/openai/upstream_error.h"

namespace llmd::api {

Dialect dialect_of(std::string_view path) noexcept {
  path = path.substr(0, path.find('?'));
  if (path == "/v1/messages") return Dialect::kMessages;
  if (path == "/v1/messages/count_tokens") return Dialect::kCountTokens;
  return path == "/v1/responses" ? Dialect::kResponses : Dialect::kOpenAi;
}

std::string_view api_name(Dialect dialect) noexcept {
  switch (dialect) {
    case Dialect::kOpenAi: return {};
    case Dialect::kMessages:
    case Dialect::kCountTokens: return "messages";
    case Dialect::kResponses: return "responses";
  }
  return {};
}

openai::ErrorAnswer render_error(Dialect dialect, const Error& error) {
  openai::ErrorAnswer answer = openai::render_error(error);
  if (api_name(dialect) == "messages") answer.json = anthropic::error_json(error);
  return answer;
}

void append_stream_error(std::string& out, Dialect dialect, const Error& error) {
  if (dialect == Dialect::kOpenAi) return openai::append_event(out, openai::error_json(error));
  out += "event: error\ndata: ";
  if (dialect == Dialect::kResponses) {
    openai::JsonWriter json{out};
    json.begin_object().key("type").string("error").key("code").string(error_code_name(error.code));
    json.key("message").string(error.to_string()).key("param").null().end_object();
  } else {
    out += anthropic::error_json(error);
  }
  out += "\n\n";
}

std::optional<std::string> shape_upstream_error(Dialect dialect, int status, std::string_view body) {
  std::optional<std::string> shaped = openai::shape_upstream_error(status, body);
  if (api_name(dialect) != "messages") return shaped;
  auto of_api = anthropic::shape_error(status, shaped ? std::string_view{*shaped} : body);
  return of_api ? std::move(of_api) : std::move(shaped);
}

}  // namespace llmd::api
