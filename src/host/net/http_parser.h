#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "net/http.h"

namespace llmd::net {

/// How a message's body is delimited.
enum class BodyKind : std::uint8_t { kNone, kLength, kChunked, kUntilClose };

/// What the head of a message says about the rest of it.
struct Framing {
  BodyKind body = BodyKind::kNone;
  std::uint64_t content_length = 0;  // with kLength
  bool keep_alive = true;
  bool http_1_0 = false;
  bool expect_continue = false;
};

/// Finds the end of a head in bytes that arrive bit by bit; each byte is looked at once. Not thread-safe.
class HeadScanner {
 public:
  /// `bytes` starts with the head's first byte and holds all that came so far. The size of the head with its empty line
  /// once it is complete, else 0. Error kInvalidRequest as soon as a line does not end with CR LF, or a byte is zero.
  [[nodiscard]] Result<std::size_t> scan(std::string_view bytes);
  void reset() noexcept { *this = HeadScanner{}; }

 private:
  std::size_t line_start_ = 0;
  std::size_t scanned_ = 0;
};

constexpr std::size_t kHeaderFieldsMax = 128;  // a message; kHeaderTooLarge beyond

/// Parses a complete head (as HeadScanner found it) into method, target and headers. What makes a message mean two
/// things to two readers is refused: two lengths, length and chunked, other transfer codings, folded lines, spaces
/// before a colon, more or less than one Host. The absolute form of a target is reduced to its path. Errors:
/// kInvalidRequest, kHeaderTooLarge, kMethodNotAllowed (CONNECT).
[[nodiscard]] Result<Framing> parse_request_head(std::string_view head, Request& request);

/// The same for an answer to `method`. Errors: kProtocol.
[[nodiscard]] Result<Framing> parse_response_head(std::string_view head, std::string_view method, int& status,
                                                  Headers& headers);

/// Takes the framing off a chunked body. Trailers are checked and dropped. Not thread-safe.
class ChunkedDecoder {
 public:
  struct Piece {
    std::string_view data;     // a part of the input
    std::size_t consumed = 0;  // bytes of the input done with, `data` among them
  };
  /// The next data in `input`. Empty data: all input is consumed and more is needed, or done(). Error kInvalidRequest.
  [[nodiscard]] Result<Piece> next(std::string_view input);
  [[nodiscard]] bool done() const noexcept { return state_ == State::kDone; }

 private:
  enum class State : std::uint8_t {
    kSize,       // hex digits
    kExtension,  // after ';'
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,  // first byte of a line
    kTrailer,
    kTrailerLf,
    kEndLf,
    kDone,
  };
  [[nodiscard]] Result<void> step(char byte);
  [[nodiscard]] Result<void> step_size(char byte);
  [[nodiscard]] Result<void> step_trailer(char byte);

  State state_ = State::kSize;
  std::uint64_t left_ = 0;         // of the chunk
  unsigned digits_ = 0;            // of its size
  std::size_t framing_bytes_ = 0;  // of extensions and trailers of the whole body
};

}  // namespace llmd::net
