#include "api/openai/model_list_reader.h"

#include <algorithm>
#include <limits>

#include "api/openai/field.h"
#include "api/openai/limits.h"

namespace llmd::openai {
namespace {

std::int64_t integer_or_zero(Object object, const char* name) {
  std::int64_t value = 0;
  return object[name].get_int64().get(value) == simdjson::SUCCESS ? std::max<std::int64_t>(value, 0) : 0;
}

}  // namespace

Result<std::vector<ModelCard>> read_model_list(std::string_view json) {
  LLMD_TRY(const Object root, parse_body(json));
  Array data;
  if (root["data"].get_array().get(data) != simdjson::SUCCESS) {
    return fail(ErrorCode::kProtocol, "the answer to /v1/models has no list named data");
  }
  std::vector<ModelCard> cards;
  for (const Element item : data) {
    Object model;
    std::string_view id;
    if (item.get_object().get(model) != simdjson::SUCCESS || model["id"].get_string().get(id) != simdjson::SUCCESS ||
        id.empty() || id.size() > kNameBytesMax) {
      return fail(ErrorCode::kProtocol, "the answer to /v1/models has a model without a usable id");
    }
    const std::int64_t context = integer_or_zero(model, "max_model_len");
    std::string_view fingerprint;
    if (model["llmd_block_fingerprint"].get_string().get(fingerprint) != simdjson::SUCCESS) fingerprint = {};
    cards.push_back({.id = std::string{id},
                     .created = integer_or_zero(model, "created"),
                     .context_tokens = static_cast<std::uint32_t>(
                         std::min<std::int64_t>(context, std::numeric_limits<std::uint32_t>::max())),
                     .block_fingerprint = std::string{fingerprint.substr(0, kNameBytesMax)}});
    if (cards.size() == kListedModelsMax) break;
  }
  return cards;
}

}  // namespace llmd::openai
