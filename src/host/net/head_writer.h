#pragma once

#include <cstdint>
#include <string>

#include "net/http.h"
#include "net/http_parser.h"

namespace llmd::net {

/// What the head of an answer says besides its fields.
struct AnswerHead {
  int status = 200;
  BodyKind body = BodyKind::kLength;
  std::uint64_t content_length = 0;  // with kLength
  bool close = false;                // "Connection: close"
  bool keep_alive = false;           // "Connection: keep-alive", for HTTP/1.0
};

/// Appends an answer's head. Fields that frame the message are left out of `headers`, as are those that could not be
/// sent as one line (a name that is no token, a control character in the value).
void append_answer_head(std::string& out, const AnswerHead& head, const Headers& headers);

/// Appends a request's head; `host` and the length (unless `headers` names a host, or there is no body to speak of) are
/// added.
struct RequestLine {
  std::string_view method;
  std::string_view target;
  std::string_view host;
  std::uint64_t content_length = 0;
};
void append_request_head(std::string& out, const RequestLine& line, const Headers* headers);

/// Whether `target` can stand in a request line.
[[nodiscard]] bool is_valid_target(std::string_view target) noexcept;

}  // namespace llmd::net
