#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace llmd {

/// What went wrong, as a stable name that clients, logs and tests may compare. `error_code_name` gives the text form,
/// `http_status` the status a client sees. Add at the end of a group; never renumber, never reuse.
enum class ErrorCode : std::uint16_t {
  // The caller's request is wrong.
  kInvalidRequest = 100,         // malformed or out of range
  kInvalidJson = 101,            // the body is not JSON
  kModelNotFound = 102,          // no such model here
  kContextLengthExceeded = 103,  // prompt (and asked output) longer than the model's context
  kInvalidApiKey = 104,
  kNotFound = 105,  // no such path or object
  kMethodNotAllowed = 106,
  kBodyTooLarge = 107,
  kHeaderTooLarge = 108,
  kUnsupported = 109,     // understood, but this model or server cannot do it
  kRequestTimeout = 110,  // the client was too slow
  kInvalidGrammar = 111,  // the schema or grammar does not compile
  kUnsupportedMediaType = 112,
  // The system cannot serve it now.
  kOverloaded = 200,  // a bounded queue is full: try again later
  kNoEndpoint = 201,  // no endpoint can serve this
  kShuttingDown = 202,
  kUpstreamFailed = 203,  // the chosen endpoint failed, and no other could take over
  kUpstreamTimeout = 204,
  kCancelled = 205,        // the caller went away
  kBudgetExhausted = 206,  // a byte budget is spent
  // The environment or the operator's input is wrong.
  kConfigInvalid = 300,
  kFileNotFound = 301,
  kFileInvalid = 302,  // there, but not what it should be
  kOutOfMemory = 303,  // does not fit memory, with the numbers in `what`
  kAddressInUse = 304,
  kAddressInvalid = 305,
  kIo = 306,
  kConnectionRefused = 307,
  kConnectionClosed = 308,  // the peer closed before the message was complete
  kProtocol = 309,          // the peer spoke, but not the protocol
  kDeadlineExceeded = 310,  // a wait of ours ended without an answer; `what` names the wait
  // KV transfer.
  kBlockMismatch = 400,  // wrong BlockId, fingerprint, version or checksum
  kLeaseExpired = 401,
  kPeerNotAllowed = 402,
  // Ours.
  kInternal = 500,
};

/// The stable lower-case name of a code: what stands in `error.code` of an answer and in logs. Never empty.
[[nodiscard]] std::string_view error_code_name(ErrorCode code) noexcept;

/// The HTTP status that a client sees for the code (400 to 599).
[[nodiscard]] int http_status(ErrorCode code) noexcept;

/// One failure: `what` is one line with the offending value, its place and what was expected; `hint` says how to fix it
/// (may be empty). Neither holds prompts or keys. `param` is the request field at fault, if one is.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string what;
  std::string hint{};
  std::string param{};

  /// "code: what (hint)", one line, for logs and terminals.
  [[nodiscard]] std::string to_string() const;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string what, std::string hint = {}) {
  return std::unexpected(Error{.code = code, .what = std::move(what), .hint = std::move(hint)});
}

}  // namespace llmd

#define LLMD_CONCAT_INNER(a, b) a##b
#define LLMD_CONCAT(a, b) LLMD_CONCAT_INNER(a, b)

/// LLMD_TRY(auto value, call()): binds the value of a Result, or returns its error from the enclosing function.
#define LLMD_TRY(declaration, ...)                                               \
  auto LLMD_CONCAT(llmd_try_, __LINE__) = (__VA_ARGS__);                         \
  if (!LLMD_CONCAT(llmd_try_, __LINE__)) {                                       \
    return std::unexpected(std::move(LLMD_CONCAT(llmd_try_, __LINE__)).error()); \
  }                                                                              \
  declaration = *std::move(LLMD_CONCAT(llmd_try_, __LINE__))

/// The same for a Result<void>.
#define LLMD_TRY_VOID(...)                                        \
  do {                                                            \
    if (auto llmd_try_result = (__VA_ARGS__); !llmd_try_result) { \
      return std::unexpected(std::move(llmd_try_result).error()); \
    }                                                             \
  } while (false)

/// The two for a coroutine that returns Result.
#define LLMD_CO_TRY(declaration, ...)                                               \
  auto LLMD_CONCAT(llmd_try_, __LINE__) = (__VA_ARGS__);                            \
  if (!LLMD_CONCAT(llmd_try_, __LINE__)) {                                          \
    co_return std::unexpected(std::move(LLMD_CONCAT(llmd_try_, __LINE__)).error()); \
  }                                                                                 \
  declaration = *std::move(LLMD_CONCAT(llmd_try_, __LINE__))

#define LLMD_CO_TRY_VOID(...)                                        \
  do {                                                               \
    if (auto llmd_try_result = (__VA_ARGS__); !llmd_try_result) {    \
      co_return std::unexpected(std::move(llmd_try_result).error()); \
    }                                                                \
  } while (false)
