#include "apps/epp/request_body.h"

#include <fmt/format.h>

#include <algorithm>

namespace llmd::epp {
namespace {

constexpr std::size_t kFirstRoom = std::size_t{1} << 20U;  // ahead of the bytes, which a client may only announce
constexpr std::size_t kGrowth = 16;                        // later: by what has come
constexpr std::size_t kRoom = 128;                         // behind the last byte, for the parser

}  // namespace

Result<void> RequestBody::append(std::string_view piece) {
  if (piece.size() > bytes_max_ - std::min(bytes_max_, size())) {
    return fail(ErrorCode::kBodyTooLarge, fmt::format("the body is longer than {} bytes", bytes_max_));
  }
  if (!held_->budget.try_charge(piece.size()))
    return fail(ErrorCode::kBudgetExhausted, "there is no memory for further bodies", "try again later");
  held_->charged += piece.size();
  std::string& bytes = held_->bytes;
  if (const std::size_t needed = bytes.size() + piece.size() + kRoom; needed > bytes.capacity()) {
    const std::size_t ahead = std::min(std::min(expected_, bytes_max_) + kRoom, std::max(kFirstRoom, needed * kGrowth));
    bytes.reserve(std::max(needed, ahead));
  }
  bytes.append(piece);
  return {};
}

void RequestBody::release() { held_ = std::make_shared<Held>(held_->budget); }

}  // namespace llmd::epp
