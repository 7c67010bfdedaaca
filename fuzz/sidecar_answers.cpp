// links: llmd_app_sidecar
// Engines' answers as the sidecar reads them: cached tokens are replaced in whole answers and in streams, however they
// are cut, and nothing else; pieces of a chunked answer come to JSON; bootstrap servers may say anything.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "apps/sidecar/cached_tokens.h"
#include "apps/sidecar/chunks.h"
#include "apps/sidecar/configuration.h"
#include "apps/sidecar/mooncake_directory.h"

namespace {

using Json = nlohmann::json;
namespace sidecar = llmd::sidecar;

void check_stream(std::string_view stream, std::size_t step) {
  sidecar::CachedTokensStream whole{7};
  sidecar::CachedTokensStream cut{7};
  std::string at_once{whole.feed(stream)};
  at_once += whole.finish();
  std::string in_pieces;
  for (std::size_t at = 0; at < stream.size(); at += step) in_pieces += cut.feed(stream.substr(at, step));
  in_pieces += cut.finish();
  if (at_once != in_pieces) std::abort();
}

void check_chunks(std::string_view body, std::string_view answer) {
  std::string copy{body};
  const auto plan = sidecar::plan_chunks(copy, 4);
  if (!plan || !*plan) return;
  sidecar::ChunkedAnswer chunks{copy, **plan};
  for (int piece = 0; piece < 3 && !chunks.complete(); ++piece) {
    (void)chunks.next_request();
    if (!chunks.take(std::string{answer})) return;
    (void)chunks.event();
  }
  const bool was_json = Json::accept(answer);
  const auto whole = chunks.whole();
  if (was_json && whole && !Json::accept(*whole)) std::abort();
  (void)chunks.last_events();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  const std::string counted = sidecar::with_cached_tokens(text, 7);
  if (Json::accept(text) && !Json::accept(counted)) std::abort();
  check_stream(text, 1 + data[0] % 61);
  std::string answer{text};
  (void)sidecar::cached_tokens_of(answer);
  (void)sidecar::read_mooncake_ranks(std::string{text});
  (void)sidecar::read_configuration(text, "fuzz");
  check_chunks(R"({"messages":[{"role":"user","content":"x"}],"min_tokens":3})", text);
  check_chunks(text, R"({"id":"i","choices":[{"message":{"content":"a"},"finish_reason":"length"}]})");
  return 0;
}
