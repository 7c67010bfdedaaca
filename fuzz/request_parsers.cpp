// links: llmd_api
// The endpoint picker's parsers: the first byte chooses one of the paths below, the rest is the body. No crash on any
// bytes; the body stays as it was; what is forwarded with another model is read by the same parser to the same prompt.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "api/requests/json_fault.h"
#include "api/requests/request_parser.h"

namespace {

constexpr std::string_view kPaths[] = {
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/conversations",
    "/v1/rerank",
    "/v1/images/generations",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/inference/v1/generate",
    "/generate",
    "/vllm.grpc.engine.VllmEngine/Generate",
    "/vllm.grpc.engine.VllmEngine/Embed",
    "/google.cloud.aiplatform.v1.PredictionService/ChatCompletions",
    "/google.cloud.aiplatform.v1.PredictionService/RawPredict",
    "/anything",
};

void require(bool holds) {
  if (!holds) std::abort();
}

std::vector<const llmd::api::RequestParser*> all_parsers() {
  std::vector<const llmd::api::RequestParser*> parsers;
  for (const llmd::api::RequestParser& parser : llmd::api::all_parsers()) parsers.push_back(&parser);
  return parsers;
}

bool lies_in(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view path = kPaths[data[0] % std::size(kPaths)];
  std::string body{reinterpret_cast<const char*>(data) + 1, size - 1};
  const std::string before = body;
  const llmd::api::RequestParser* parser = llmd::api::choose_parser(all_parsers(), path);
  require(parser != nullptr);
  const auto parsed = parser->parse(path, body, {});
  require(body == before);
  // (To the other parser a zero is the end.)
  if (body.find('\0') == std::string::npos && nlohmann::json::accept(body))
    require(llmd::api::json_fault(body).empty());
  if (!parsed) return 0;
  for (const std::string_view part :
       {parsed->fields.prompt, parsed->fields.system, parsed->fields.tools, parsed->request_id})
    require(lies_in(part, body));
  std::string scratch;
  const std::string text{llmd::openai::prompt_text(parsed->fields, scratch)};
  auto sent = llmd::api::rewrite_request(body, *parsed, {.model = "m\""}).value_or(body);
  const auto again = parser->parse(path, sent, {});
  // A body with the same field twice may lose the one that counted, with what it steered by.
  if (!again) return 0;
  require(again->has_model == parsed->has_model);
  if (again->has_model) require(again->fields.model == "m\"");
  require(again->fields.steering.empty());
  std::string scratch_again;
  if (again->fields.prompt_ids.empty()) require(llmd::openai::prompt_text(again->fields, scratch_again) == text);
  require(again->fields.prompt_ids == parsed->fields.prompt_ids);
  return 0;
}
