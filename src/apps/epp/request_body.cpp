#include "apps/epp/request_body.h"

#include <fmt/format.h>

#include <algorithm>

namespace llmd::epp {
namespace {

constexpr std::size_t kReservedMax = std::size_t{16} << 20U;  // ahead of the bytes, which a client may only announce
constexpr std::size_t kRoom = 128;                            // behind the last byte, for the parser

}  // namespace

void RequestBody::expect(std::size_t bytes) {
  if (bytes <= bytes_max_) held_->bytes.reserve(std::min(bytes, kReservedMax) + kRoom);
}

Result<void> RequestBody::append(std::string_view piece) {
  if (piece.size() > bytes_max_ - std::min(bytes_max_, size())) {
    return fail(ErrorCode::kBodyTooLarge, fmt::format("the body is longer than {} bytes", bytes_max_));
  }
  if (!held_->budget.try_charge(piece.size()))
    return fail(ErrorCode::kBudgetExhausted, "there is no memory for further bodies", "try again later");
  held_->charged += piece.size();
  held_->bytes.append(piece);
  return {};
}

void RequestBody::release() { held_ = std::make_shared<Held>(held_->budget); }

}  // namespace llmd::epp
