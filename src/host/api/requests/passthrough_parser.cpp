#include "api/requests/parsers.h"

/// Any path, without a look at the body.
namespace llmd::api {
namespace {

Result<ParsedRequest> parse(std::string_view /*path*/, std::string& /*body*/, const ParseHints& /*hints*/) {
  ParsedRequest request;
  request.has_model = false;
  request.answer = AnswerForm::kUnknown;
  return request;
}

}  // namespace

constinit const RequestParser kPassthroughParser{
    .type = "passthrough-parser", .path_suffixes = {}, .protocols = {}, .parse = parse};

}  // namespace llmd::api
