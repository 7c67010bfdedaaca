#include "prefix/index_memory.h"

#include <algorithm>
#include <new>
#include <utility>

namespace llmd {
namespace {

// What the allocator adds to each piece, rounded up: 8 bytes of header, pieces of 16.
std::size_t real_bytes(std::size_t bytes) noexcept { return (bytes + 8 + 15) / 16 * 16; }

}  // namespace

IndexMemory::~IndexMemory() {
  free_all(retired_before_);
  free_all(retired_);
  budget_.release(charged_bytes_);
}

bool IndexMemory::cover(std::size_t bytes) noexcept {
  if (bytes <= charged_bytes_) return true;
  if (!budget_.try_charge(bytes - charged_bytes_)) return false;
  charged_bytes_ = bytes;
  return true;
}

bool IndexMemory::count_in(std::size_t bytes) noexcept {
  if (!cover(taken_bytes_ + bytes)) return false;
  taken_bytes_ += bytes;
  return true;
}

void* IndexMemory::take(std::size_t bytes) { return count_in(real_bytes(bytes)) ? ::operator new(bytes) : nullptr; }

void* IndexMemory::take_always(std::size_t bytes) {
  if (!cover(taken_bytes_ + real_bytes(bytes))) reclaim();
  taken_bytes_ += real_bytes(bytes);
  return ::operator new(bytes);
}

void IndexMemory::give_back(void* memory, std::size_t bytes) noexcept {
  taken_bytes_ -= real_bytes(bytes);
  ::operator delete(memory);
}

void IndexMemory::retire(void* memory, std::size_t bytes) {
  retired_.push_back({memory, bytes});
  retired_bytes_ += bytes;
  if (retired_bytes_ > kRetiredMax) reclaim();
}

// Who was reading when a piece was retired was counted in one of the two phases. The phase that is not the current one
// was empty when the piece moved to `retired_before_`, and the other is empty when it is freed.
bool IndexMemory::next_phase() noexcept {
  const std::uint64_t phase = phase_.load();
  for (Stripe& stripe : stripes_) {
    // An addition and not a load: it orders what was unlinked before it ahead of what later readers see.
    if (stripe.readers[(phase + 1) & 1U].fetch_add(0) != 0) return false;
  }
  free_all(retired_before_);
  std::swap(retired_, retired_before_);
  phase_.store(phase + 1);
  return true;
}

void IndexMemory::reclaim() noexcept {
  retired_bytes_ = 0;
  for (int i = 0; i < 2 && !(retired_.empty() && retired_before_.empty()); ++i) {
    if (!next_phase()) return;
  }
}

void IndexMemory::free_all(std::vector<Retired>& retired) noexcept {
  for (const Retired& each : retired) give_back(each.memory, each.bytes);
  retired.clear();
}

}  // namespace llmd
