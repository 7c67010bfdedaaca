// links: llmd_llamacpp
// What clients constrain an output with, over any bytes: as a JSON schema, as a schema's pattern, and as GBNF. No
// crash, refusals are of their kind, and no pattern is dropped, which would let every string pass.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "llamacpp/chat_template.h"
#include "llamacpp/schema_pattern.h"

namespace {

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
  static const std::string kAnyString = *llmd::llamacpp::schema_to_gbnf(R"({"type":"string"})");
  const nlohmann::json schema{{"type", "string"}, {"pattern", text}};
  const auto dumped = schema.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (nlohmann::json::parse(dumped)["pattern"].get<std::string>() != text) return 0;  // no UTF-8
  const auto grammar = llmd::llamacpp::schema_to_gbnf(dumped);
  check(grammar);
  if (grammar && (!pattern || *grammar == kAnyString)) std::abort();
  return 0;
}
