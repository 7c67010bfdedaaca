#include "api/ollama/running_models.h"

#include <algorithm>
#include <limits>

#include "api/openai/field.h"
#include "api/openai/limits.h"

namespace llmd::ollama {
namespace {

std::uint64_t count_or_zero(openai::Object object, const char* name) {
  std::uint64_t value = 0;
  return object[name].get_uint64().get(value) == simdjson::SUCCESS ? value : 0;
}

}  // namespace

Result<std::vector<RunningModel>> read_running_models(std::string_view json) {
  LLMD_TRY(const openai::Object root, openai::parse_body(json));
  openai::Array listed;
  const auto models = root["models"];
  if (models.is_null()) return std::vector<RunningModel>{};  // a Go slice that nothing was put into
  if (models.get_array().get(listed) != simdjson::SUCCESS)
    return fail(ErrorCode::kProtocol, "the answer to /api/ps has no list named models");
  std::vector<RunningModel> running;
  for (const openai::Element item : listed) {
    openai::Object model;
    std::string_view name;
    if (item.get_object().get(model) != simdjson::SUCCESS ||
        model["name"].get_string().get(name) != simdjson::SUCCESS || name.empty() ||
        name.size() > openai::kNameBytesMax) {
      return fail(ErrorCode::kProtocol, "the answer to /api/ps has a model without a usable name");
    }
    const std::uint64_t context = count_or_zero(model, "context_length");
    running.push_back({.name = std::string{name},
                       .bytes = count_or_zero(model, "size"),
                       .gpu_bytes = count_or_zero(model, "size_vram"),
                       .context_tokens = static_cast<std::uint32_t>(
                           std::min<std::uint64_t>(context, std::numeric_limits<std::uint32_t>::max()))});
    if (running.size() == kRunningModelsMax) break;
  }
  return running;
}

}  // namespace llmd::ollama
