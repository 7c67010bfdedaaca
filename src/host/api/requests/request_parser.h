#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai/routing_fields.h"
#include "api/requests/parse_hints.h"
#include "api/requests/usage_reader.h"
#include "base/error.h"
#include "model/request_facts.h"

/// The endpoint picker's parsers: llm-d's `requestHandler.parsers`, by their types.
namespace llmd::api {

/// A place in a body that tells how many bytes follow. It changes with what is edited behind it.
struct LengthField {
  enum class Kind : std::uint8_t { kFrame, kVarint };  // gRPC's four bytes, big-endian; protobuf's
  Kind kind = Kind::kFrame;
  openai::ByteRange place;
  std::uint64_t bytes = 0;  // as it stands
};

/// What a parser found in one request body. Views of the body, valid while it is neither changed nor moved.
struct ParsedRequest {
  openai::RoutingFields fields;
  bool skips_response = false;  // the answer is not looked at
  bool has_model = true;        // false: the body names no model, and none is put into it
  AnswerForm answer = AnswerForm::kText;
  std::vector<MediaItem> media;      // of the prompt, in their order; their places in it are fields.cuts
  std::string_view request_id;       // the client's own: SGLang's rid, vLLM's request_id; may be empty
  std::vector<LengthField> lengths;  // around the fields, the outermost first
};

/// One type of parser. Objects are static, immutable and shared by all threads.
struct RequestParser {
  std::string_view type;                            // "openai-parser"
  std::span<const std::string_view> path_suffixes;  // none: the fallback
  std::span<const std::string_view> protocols;      // appProtocol of the pool; none: any
  /// Reads a body in one pass that does not look into values that decide nothing: about 10 GB/s of text, 1 of token
  /// ids. The body's capacity may grow; its size and bytes never change. Pre: the parser was chosen for the path.
  /// Errors: kInvalidJson (in llm-d's words, see json_fault()), kInvalidRequest (what the API requires is missing;
  /// "model not found in request body"; no gRPC message), all in one line and without text of the prompt.
  Result<ParsedRequest> (*parse)(std::string_view path, std::string& body, const ParseHints& hints);
};

/// Openai, anthropic, vllmhttp and passthrough are llm-d's default, in this order.
[[nodiscard]] std::span<const RequestParser> all_parsers() noexcept;
[[nodiscard]] const RequestParser* find_parser(std::string_view type) noexcept;

/// The configured parser with the longest suffix of the path, of equal ones the first; else the first fallback; else
/// null. As in llm-d a suffix need not begin at a slash, and a query and one slash at the end do not count.
[[nodiscard]] const RequestParser* choose_parser(std::span<const RequestParser* const> configured,
                                                 std::string_view path) noexcept;

/// The path without query, white space and one slash at the end.
[[nodiscard]] std::string_view plain_path(std::string_view path) noexcept;

/// openai::rewrite_body() for any parser's body: steering fields go, the model changes where there is one, lengths
/// follow. Empty if nothing changes.
[[nodiscard]] std::optional<std::string> rewrite_request(std::string_view body, const ParsedRequest& request,
                                                         openai::BodyChanges changes);

}  // namespace llmd::api
