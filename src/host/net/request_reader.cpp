#include "net/request_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace llmd::net {
namespace {

constexpr std::size_t kBodyStepBytes = 64 * 1024;
constexpr std::size_t kBodyProgressBytes = 1024;  // a body that brings less than this in body_timeout makes no progress

}  // namespace

RequestReader::RequestReader(Stream& stream, const ServerLimits& limits, Budget* body_budget)
    : stream_{stream}, limits_{limits}, budget_{body_budget} {}

void RequestReader::release_body() noexcept {
  if (charged_bytes_ > 0) budget_->release(std::exchange(charged_bytes_, 0));
}

Task<Result<bool>> RequestReader::read(Request& request, Framing& framing) {
  release_body();
  LLMD_CO_TRY(const std::size_t head_bytes, co_await read_head());
  if (head_bytes == 0) co_return false;
  const std::string_view head = stream_.input().substr(0, head_bytes);
  LLMD_CO_TRY(framing, parse_request_head(head, request));
  stream_.consume(head_bytes);
  bool complete = true;
  if (framing.body != BodyKind::kNone) {
    LLMD_CO_TRY(complete, co_await read_body(request.body, framing));
  }
  stream_.clear_deadline();
  co_return complete;
}

Task<Result<std::size_t>> RequestReader::read_head() {
  scanner_.reset();
  idle_ = true;
  stream_.set_deadline(SteadyClock::now() + limits_.idle_timeout);
  while (true) {
    while (idle_ && stream_.input().starts_with("\r\n"))
      stream_.consume(2);  // some clients end a body with one too many
    const std::string_view input = stream_.input();
    if (idle_ && !input.empty() && input != "\r") {
      idle_ = false;
      stream_.set_deadline(SteadyClock::now() + limits_.header_timeout);
    }
    if (!idle_) {
      LLMD_CO_TRY(const std::size_t head_bytes, scanner_.scan(input));
      if (head_bytes > limits_.header_bytes_max || (head_bytes == 0 && input.size() >= limits_.header_bytes_max)) {
        co_return fail(ErrorCode::kHeaderTooLarge,
                       fmt::format("the head of the request is longer than {} bytes", limits_.header_bytes_max));
      }
      if (head_bytes > 0) co_return head_bytes;
    }
    if (stream_.ended()) co_return 0;
    co_await stream_.wait_input();
    if (stream_.interrupted() == Stream::Interrupt::kNone) continue;
    if (stream_.interrupted() != Stream::Interrupt::kExpired || idle_) co_return 0;
    co_return fail(
        ErrorCode::kRequestTimeout,
        fmt::format("the head of the request was not complete after {}", limits_.header_timeout.count()) + " ms");
  }
}

Error RequestReader::too_large(std::string_view stated) const {
  return Error{.code = ErrorCode::kBodyTooLarge,
               .what = fmt::format("the body has {}; at most {} bytes are taken", stated, limits_.body_bytes_max)};
}

Task<Result<bool>> RequestReader::read_body(std::string& body, const Framing& framing) {
  if (framing.body == BodyKind::kLength && framing.content_length > limits_.body_bytes_max) {
    co_return std::unexpected(too_large(fmt::format("{} bytes", framing.content_length)));
  }
  if (framing.expect_continue && stream_.input().empty()) {
    std::array<iovec, 1> pieces{piece_of("HTTP/1.1 100 Continue\r\n\r\n")};
    const auto sent = co_await stream_.write(pieces, limits_.write_timeout);
    if (!sent) co_return false;
  }
  progress_mark_ = 0;
  body_due_ = SteadyClock::now() + limits_.body_time_max;
  stream_.set_deadline(std::min<TimePoint>(body_due_, SteadyClock::now() + limits_.body_timeout));
  if (framing.body == BodyKind::kChunked) co_return co_await read_chunked_body(body);
  co_return co_await read_length_body(body, static_cast<std::size_t>(framing.content_length));
}

/// Makes room for `bytes` in all and charges what is new; grows by doubling, so that a length stated and never sent
/// costs little.
Result<void> RequestReader::reserve(std::string& body, std::size_t bytes) {
  if (budget_ != nullptr && bytes > charged_bytes_) {
    if (!budget_->try_charge(bytes - charged_bytes_)) {
      return fail(ErrorCode::kBudgetExhausted,
                  fmt::format("no memory for the body now: {} of {} bytes of {} are in use", budget_->used_bytes(),
                              budget_->limit_bytes(), budget_->name()),
                  "try again later");
    }
    charged_bytes_ = bytes;
  }
  body.reserve(bytes);
  return {};
}

Task<Result<bool>> RequestReader::read_length_body(std::string& body, std::size_t length) {
  bool socket_may_have_more = true;
  std::size_t reserved = 0;
  while (true) {
    const std::string_view buffered = stream_.input().substr(0, length - body.size());
    const std::size_t known = body.size() + buffered.size();
    if (known >= reserved && reserved < length) {
      reserved = std::min(length, std::max(kBodyStepBytes, 2 * known));
      LLMD_CO_TRY_VOID(reserve(body, reserved));
    }
    body.append(buffered);
    stream_.consume(buffered.size());
    if (body.size() == length) co_return true;
    if (stream_.ended()) co_return false;
    std::ptrdiff_t got = -1;
    if (!stream_.reading() && socket_may_have_more) {
      const std::size_t had = body.size();
      body.resize_and_overwrite(reserved, [&](char* data, std::size_t) {
        got = stream_.read_now(data + had, reserved - had);
        return had + static_cast<std::size_t>(std::max<std::ptrdiff_t>(got, 0));
      });
      socket_may_have_more = got == static_cast<std::ptrdiff_t>(reserved - had);
    }
    if (got >= 0) continue;
    LLMD_CO_TRY(const bool alive, co_await wait_body(body.size()));
    if (!alive) co_return false;
    socket_may_have_more = true;
  }
}

Task<Result<bool>> RequestReader::read_chunked_body(std::string& body) {
  ChunkedDecoder decoder;
  std::size_t reserved = 0;
  while (true) {
    while (!stream_.input().empty() && !decoder.done()) {
      LLMD_CO_TRY(const ChunkedDecoder::Piece piece, decoder.next(stream_.input()));
      if (piece.data.size() > limits_.body_bytes_max - body.size()) co_return std::unexpected(too_large("more"));
      const std::size_t known = body.size() + piece.data.size();
      if (known > reserved) {
        reserved = std::min(limits_.body_bytes_max, std::max(2 * known, std::size_t{4096}));
        LLMD_CO_TRY_VOID(reserve(body, reserved));
      }
      body.append(piece.data);
      stream_.consume(piece.consumed);
    }
    if (decoder.done()) co_return true;
    if (stream_.ended()) co_return false;
    LLMD_CO_TRY(const bool alive, co_await wait_body(body.size()));
    if (!alive) co_return false;
  }
}

Task<Result<bool>> RequestReader::wait_body(std::size_t received) {
  if (received >= progress_mark_ + kBodyProgressBytes) {
    progress_mark_ = received;
    stream_.set_deadline(std::min<TimePoint>(body_due_, SteadyClock::now() + limits_.body_timeout));
  }
  co_await stream_.wait_input();
  if (stream_.interrupted() == Stream::Interrupt::kNone) co_return true;
  if (stream_.interrupted() != Stream::Interrupt::kExpired) co_return false;
  if (SteadyClock::now() >= body_due_) {
    co_return fail(ErrorCode::kRequestTimeout,
                   fmt::format("the body was not complete after {}", limits_.body_time_max.count()) + " ms");
  }
  co_return fail(ErrorCode::kRequestTimeout,
                 fmt::format("the body stopped at {} bytes for {} ms", received, limits_.body_timeout.count()));
}

}  // namespace llmd::net
