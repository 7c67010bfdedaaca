#include "net/http_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace llmd::net {
namespace {

constexpr std::size_t kMethodBytesMax = 32;
constexpr std::size_t kChunkFramingBytesMax = 16 * 1024;
constexpr unsigned kChunkDigitsMax = 15;  // 2^60: no overflow

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = table[c + ('a' - 'A')] = true;
  for (const char c : std::string_view{"!#$%&'*+-.^_`|~"}) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kToken = make_token_table();

bool is_token(std::string_view text) noexcept {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return kToken[static_cast<unsigned char>(c)]; });
}

/// Visible characters, spaces, tabs and bytes above ASCII.
bool is_field_value(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
  });
}

bool is_target(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::unexpected<Error> malformed(std::string what, std::string hint = {}) {
  return fail(ErrorCode::kInvalidRequest, std::move(what), std::move(hint));
}

/// Takes a line without its CR LF off the front. Pre: the head is complete, so there is one.
std::string_view take_line(std::string_view& head) noexcept {
  const std::size_t end = head.find('\n');
  const std::string_view line = head.substr(0, end - 1);
  head.remove_prefix(end + 1);
  return line;
}

/// What the fields that frame a message say, before they are judged together.
struct FramingFields {
  unsigned lengths = 0;
  unsigned transfer_encodings = 0;
  unsigned hosts = 0;
  std::uint64_t content_length = 0;
  bool chunked = false;
  bool close = false;
  bool keep_alive = false;
  bool expect_continue = false;
};

Result<void> note_length(std::string_view value, FramingFields& out) {
  constexpr std::size_t kDigitsMax = 18;
  std::uint64_t length = 0;
  const auto [end, status] = std::from_chars(value.data(), value.data() + value.size(), length);
  const bool digits_only = !value.empty() && value.front() != '-' && end == value.data() + value.size();
  if (!digits_only || status != std::errc{} || value.size() > kDigitsMax) {
    return malformed("Content-Length is not a number of at most 18 digits");
  }
  if (++out.lengths > 1) return malformed("Content-Length stands twice", "send it once");
  out.content_length = length;
  return {};
}

void note_connection(std::string_view value, FramingFields& out) noexcept {
  while (!value.empty()) {
    const std::size_t comma = std::min(value.find(','), value.size());
    const std::string_view option = trimmed(value.substr(0, comma));
    if (equals_ignoring_case(option, "close")) out.close = true;
    if (equals_ignoring_case(option, "keep-alive")) out.keep_alive = true;
    value.remove_prefix(std::min(comma + 1, value.size()));
  }
}

Result<void> note_field(std::string_view name, std::string_view value, FramingFields& out) {
  switch (name.size()) {  // most fields differ in length from all of these
    case 4:
      if (equals_ignoring_case(name, "host")) ++out.hosts;
      break;
    case 6:
      if (equals_ignoring_case(name, "expect")) out.expect_continue = equals_ignoring_case(value, "100-continue");
      break;
    case 10:
      if (equals_ignoring_case(name, "connection")) note_connection(value, out);
      break;
    case 14:
      if (equals_ignoring_case(name, "content-length")) return note_length(value, out);
      break;
    case 17:
      if (equals_ignoring_case(name, "transfer-encoding")) {
        ++out.transfer_encodings;
        out.chunked = equals_ignoring_case(value, "chunked");
      }
      break;
    default: break;
  }
  return {};
}

Result<FramingFields> parse_fields(std::string_view rest, Headers& headers) {
  FramingFields framing;
  headers.clear();
  headers.reserve(16);
  while (true) {
    const std::string_view line = take_line(rest);
    if (line.empty()) break;
    if (line.front() == ' ' || line.front() == '\t') return malformed("a header field is folded over two lines");
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return malformed("a header line has no colon");
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (!is_token(name)) return malformed("the name of a header field holds a character that it must not");
    if (!is_field_value(value)) return malformed(fmt::format("header field {} holds a control character", name));
    if (headers.size() == kHeaderFieldsMax) {
      return fail(ErrorCode::kHeaderTooLarge, fmt::format("more than {} header fields", kHeaderFieldsMax));
    }
    LLMD_TRY_VOID(note_field(name, value, framing));
    headers.add(std::string{name}, std::string{value});
  }
  if (framing.transfer_encodings > 0) {
    if (framing.lengths > 0) return malformed("Content-Length and Transfer-Encoding exclude each other", "send one");
    if (framing.transfer_encodings > 1 || !framing.chunked) {
      return malformed("Transfer-Encoding is not \"chunked\"", "send the body chunked or with its length");
    }
  }
  return framing;
}

/// Minor version of "HTTP/1.0" or "HTTP/1.1", else -1.
int minor_version(std::string_view text) noexcept {
  if (text == "HTTP/1.1") return 1;
  return text == "HTTP/1.0" ? 0 : -1;
}

/// "http://host/path" to "/path"; other forms stay.
std::string_view origin_form(std::string_view target) noexcept {
  constexpr std::string_view kScheme = "http://";
  if (target.size() < kScheme.size() || !equals_ignoring_case(target.substr(0, kScheme.size()), kScheme)) return target;
  const std::size_t path = target.find('/', kScheme.size());
  return path == std::string_view::npos ? std::string_view{"/"} : target.substr(path);
}

Result<int> parse_request_line(std::string_view line, Request& request) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return malformed("the request line is not METHOD TARGET HTTP/1.1");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const auto is_method_char = [](char c) { return (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; };
  if (method.empty() || method.size() > kMethodBytesMax || !std::all_of(method.begin(), method.end(), is_method_char)) {
    return malformed("the method is not a word of capital letters");
  }
  const int minor = minor_version(line.substr(last + 1));
  if (minor < 0) return malformed("the version is neither HTTP/1.1 nor HTTP/1.0");
  if (method == "CONNECT") return fail(ErrorCode::kMethodNotAllowed, "CONNECT is for proxies; this is a server");
  const std::string_view path = origin_form(target);
  if (!is_target(path) || (path.front() != '/' && path != "*")) {
    return malformed("the target is not a path of visible ASCII characters", "percent-encode it");
  }
  request.method = method;
  request.target = path;
  return minor;
}

bool has_no_body(std::string_view method, int status) noexcept {
  return method == "HEAD" || status < 200 || status == 204 || status == 304;
}

Result<Framing> response_framing(std::string_view head, std::string_view method, int& status, Headers& headers) {
  const std::string_view line = take_line(head);
  // "HTTP/1.1 200 OK"; the reason, and even the space before it, may be missing.
  const int minor = minor_version(line.substr(0, 8));
  const std::string_view code = line.size() >= 12 && line[8] == ' ' ? line.substr(9, 3) : std::string_view{};
  int parsed = 0;
  const auto [end, problem] = std::from_chars(code.data(), code.data() + code.size(), parsed);
  if (minor < 0 || code.empty() || problem != std::errc{} || end != code.data() + 3 || parsed < 100 ||
      (line.size() > 12 && line[12] != ' ') || !is_field_value(line)) {
    return malformed("the status line is not HTTP/1.1 and a status of three digits");
  }
  LLMD_TRY(const FramingFields fields, parse_fields(head, headers));
  status = parsed;
  Framing framing{.http_1_0 = minor == 0};
  framing.keep_alive = !fields.close && (minor == 1 || fields.keep_alive);
  if (has_no_body(method, status)) return framing;
  if (fields.chunked) {
    if (minor == 0) return malformed("an HTTP/1.0 answer is chunked");
    framing.body = BodyKind::kChunked;
  } else if (fields.lengths == 1) {
    framing.body = fields.content_length > 0 ? BodyKind::kLength : BodyKind::kNone;
    framing.content_length = fields.content_length;
  } else {
    framing.body = BodyKind::kUntilClose;
    framing.keep_alive = false;
  }
  return framing;
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<std::size_t> HeadScanner::scan(std::string_view bytes) {
  while (scanned_ < bytes.size()) {
    const char* const from = bytes.data() + scanned_;
    const std::size_t left = bytes.size() - scanned_;
    const void* const found = std::memchr(from, '\n', left);
    const std::size_t length =
        found == nullptr ? left : static_cast<std::size_t>(static_cast<const char*>(found) - from);
    if (std::memchr(from, '\0', length) != nullptr) return malformed("the head holds a zero byte");
    if (found == nullptr) {
      scanned_ = bytes.size();
      break;
    }
    const std::size_t line_feed = scanned_ + length;
    if (line_feed == line_start_ || bytes[line_feed - 1] != '\r')
      return malformed("a line of the head ends without CR");
    scanned_ = line_feed + 1;
    if (line_feed == line_start_ + 1) return scanned_;  // the empty line
    line_start_ = scanned_;
  }
  return 0;
}

Result<Framing> parse_request_head(std::string_view head, Request& request) {
  LLMD_TRY(const int minor, parse_request_line(take_line(head), request));
  LLMD_TRY(const FramingFields fields, parse_fields(head, request.headers));
  if (fields.hosts > 1 || (fields.hosts == 0 && minor == 1)) {
    return malformed(fmt::format("{} Host fields; expected one", fields.hosts));
  }
  Framing framing{.http_1_0 = minor == 0, .expect_continue = fields.expect_continue && minor == 1};
  framing.keep_alive = !fields.close && (minor == 1 || fields.keep_alive);
  if (fields.chunked) {
    if (minor == 0) return malformed("an HTTP/1.0 request is chunked");
    framing.body = BodyKind::kChunked;
  } else if (fields.content_length > 0) {
    framing.body = BodyKind::kLength;
    framing.content_length = fields.content_length;
  }
  return framing;
}

Result<Framing> parse_response_head(std::string_view head, std::string_view method, int& status, Headers& headers) {
  auto framing = response_framing(head, method, status, headers);
  if (!framing) framing.error().code = ErrorCode::kProtocol;  // here the peer is at fault, not a client of ours
  return framing;
}

Result<ChunkedDecoder::Piece> ChunkedDecoder::next(std::string_view input) {
  Piece piece;
  while (piece.consumed < input.size() && state_ != State::kDone) {
    if (state_ == State::kData) {
      piece.data = input.substr(piece.consumed, left_);
      piece.consumed += piece.data.size();
      left_ -= piece.data.size();
      if (left_ == 0) state_ = State::kDataCr;
      return piece;
    }
    LLMD_TRY_VOID(step(input[piece.consumed]));
    ++piece.consumed;
  }
  return piece;
}

Result<void> ChunkedDecoder::step(char byte) {
  const auto expect = [&](char expected, State after) -> Result<void> {
    if (byte != expected) return malformed("a chunk does not end with CR LF");
    state_ = after;
    return {};
  };
  switch (state_) {
    case State::kSize:
    case State::kExtension: return step_size(byte);
    case State::kSizeLf:
      LLMD_TRY_VOID(expect('\n', left_ == 0 ? State::kTrailerStart : State::kData));
      digits_ = 0;
      return {};
    case State::kDataCr: return expect('\r', State::kDataLf);
    case State::kDataLf: return expect('\n', State::kSize);
    case State::kTrailerStart:
    case State::kTrailer: return step_trailer(byte);
    case State::kTrailerLf: return expect('\n', State::kTrailerStart);
    case State::kEndLf: return expect('\n', State::kDone);
    case State::kData:
    case State::kDone: break;
  }
  return {};
}

Result<void> ChunkedDecoder::step_size(char byte) {
  if (byte == '\r') {
    if (digits_ == 0) return malformed("the size of a chunk is missing");
    state_ = State::kSizeLf;
    return {};
  }
  if (state_ == State::kExtension) {
    if (++framing_bytes_ > kChunkFramingBytesMax || !is_field_value({&byte, 1}))
      return malformed("bad chunk extension");
    return {};
  }
  if (byte == ';' && digits_ > 0) {
    state_ = State::kExtension;
    return {};
  }
  const int digit = hex_digit(byte);
  if (digit < 0 || ++digits_ > kChunkDigitsMax) return malformed("the size of a chunk is not 1 to 15 hex digits");
  left_ = left_ * 16 + static_cast<unsigned>(digit);
  return {};
}

Result<void> ChunkedDecoder::step_trailer(char byte) {
  if (byte == '\r') {
    state_ = state_ == State::kTrailerStart ? State::kEndLf : State::kTrailerLf;
    return {};
  }
  if (++framing_bytes_ > kChunkFramingBytesMax || !is_field_value({&byte, 1})) return malformed("bad trailer");
  state_ = State::kTrailer;
  return {};
}

}  // namespace llmd::net
