// links: llmd_llamacpp
// What clients constrain an output with, over any bytes: as a JSON schema, as a schema's pattern, and as GBNF. No
// crash, refusals are of their kind, and a pattern that is accepted becomes a grammar.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "llamacpp/grammar.h"
#include "llamacpp/schema_pattern.h"

namespace {

constexpr std::size_t kPatternMax = 64;  // a longer one is refused for its grammar's size, which is no defect

template <class T>
void check(const llmd::Result<T>& result) {
  if (!result && result.error().code != llmd::ErrorCode::kInvalidGrammar) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{reinterpret_cast<const char*>(data), size};
  check(llmd::llamacpp::schema_to_gbnf(text));
  check(llmd::llamacpp::check_gbnf(text));
  const auto pattern = llmd::llamacpp::pattern_for_grammar(text);
  check(pattern);
  if (!pattern || pattern->size() > kPatternMax || pattern->find('{') != std::string::npos) return 0;
  const nlohmann::json schema{{"type", "string"}, {"pattern", *pattern}};
  const auto dumped = schema.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (dumped.find("\xEF\xBF\xBD") == std::string::npos && !llmd::llamacpp::schema_to_gbnf(dumped)) std::abort();
  return 0;
}
