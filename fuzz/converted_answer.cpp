// links: llmd_api
// Chat completions of any engine into the other APIs, over any bytes cut at any place: no crash, the same events as
// without cuts, each one JSON with the type that its name says, and one last event. Whole answers are JSON or an error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "api/conversion/chat_conversion.h"
#include "api/conversion/chat_stream_converter.h"

namespace {

using llmd::api::Dialect;

void require(bool holds) {
  if (!holds) std::abort();
}

/// Reads "event: NAME\ndata: JSON\n\n" again and again.
void check_events(std::string_view out) {
  std::int64_t sequence = 0;
  while (!out.empty()) {
    require(out.starts_with("event: "));
    const std::size_t line = out.find('\n');
    const std::string_view name = out.substr(7, line - 7);
    out.remove_prefix(line + 1);
    require(out.starts_with("data: "));
    const std::size_t end = out.find("\n\n");
    require(end != std::string_view::npos);
    const auto json = nlohmann::json::parse(out.substr(6, end - 6));
    require(json.at("type").get<std::string>() == name);
    if (json.contains("sequence_number")) require(json.at("sequence_number").get<std::int64_t>() == sequence++);
    out.remove_prefix(end + 2);
  }
}

void check(Dialect dialect, std::string_view stream, std::size_t step) {
  const llmd::api::ConvertedRequest request{.stop = {"x"}};
  const llmd::api::AnswerFacts facts{.request_id = "r", .model = "m"};
  llmd::api::ChatStreamConverter whole{llmd::api::make_answer_writer(dialect, request, facts)};
  llmd::api::ChatStreamConverter cut{llmd::api::make_answer_writer(dialect, request, facts)};
  std::string at_once;
  std::string in_pieces;
  whole.feed(stream, at_once);
  for (std::size_t at = 0; at < stream.size();) {
    const std::size_t size = 1 + (step + at) % 61;
    cut.feed(stream.substr(at, size), in_pieces);
    at += size;
  }
  require(at_once == in_pieces && whole.over() == cut.over() && whole.malformed() == cut.malformed());
  whole.fail({.code = llmd::ErrorCode::kUpstreamFailed, .what = "cut"}, at_once);
  require(whole.over());
  check_events(at_once);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  for (const Dialect dialect : {Dialect::kMessages, Dialect::kResponses}) check(dialect, bytes, data[0]);
  for (const Dialect dialect : {Dialect::kMessages, Dialect::kResponses, Dialect::kCountTokens}) {
    const auto answer = llmd::api::convert_answer(dialect, {}, {}, bytes);
    if (answer) require(nlohmann::json::accept(*answer));
    if (const auto error = llmd::api::shape_upstream_error(dialect, 400 + data[0] % 120, bytes))
      require(nlohmann::json::accept(*error));
  }
  return 0;
}
