#pragma once

#include <cstddef>

#include "base/budget.h"
#include "net/http_parser.h"
#include "net/server.h"
#include "net/stream.h"

namespace llmd::net {

/// Reads one request after the other from a stream, within the server's limits. Belongs to the stream's loop; the
/// stream, limits and budget must outlive it.
class RequestReader {
 public:
  RequestReader(Stream& stream, const ServerLimits& limits, Budget* body_budget);
  ~RequestReader() { release_body(); }
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  /// The next request. False: the client closed, or was idle too long, before it began one, or broke off within one. An
  /// error is what to answer before closing: kInvalidRequest, kHeaderTooLarge, kBodyTooLarge, kRequestTimeout,
  /// kBudgetExhausted, kMethodNotAllowed.
  [[nodiscard]] Task<Result<bool>> read(Request& request, Framing& framing);
  /// Nothing of a request has come yet, so that closing loses nothing.
  [[nodiscard]] bool idle() const noexcept { return idle_; }
  /// Gives the bytes of the last body back to the budget.
  void release_body() noexcept;

 private:
  [[nodiscard]] Task<Result<std::size_t>> read_head();
  [[nodiscard]] Task<Result<bool>> read_body(std::string& body, const Framing& framing);
  [[nodiscard]] Task<Result<bool>> read_length_body(std::string& body, std::size_t length);
  [[nodiscard]] Task<Result<bool>> read_chunked_body(std::string& body);
  [[nodiscard]] Result<void> reserve(std::string& body, std::size_t bytes);
  [[nodiscard]] Task<Result<bool>> wait_body(std::size_t received);
  [[nodiscard]] Error too_large(std::string_view stated) const;

  Stream& stream_;
  const ServerLimits& limits_;
  Budget* budget_;
  HeadScanner scanner_;
  std::size_t charged_bytes_ = 0;
  TimePoint body_due_{};           // when the body must be complete
  std::size_t progress_mark_ = 0;  // body bytes when the deadline was last moved
  bool idle_ = true;
};

}  // namespace llmd::net
