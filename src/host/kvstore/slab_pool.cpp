#include "kvstore/slab_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <optional>

#include "kvstore/shared_memory.h"
#include "telemetry/log.h"

namespace llmd::kvstore {

struct Slab {
  Charge charge;
  Mapping memory;                      // one of the two
  std::optional<SharedMemory> shared;  // the other
  SharedSlab description;              // of `shared`
  std::size_t bytes = 0;
  std::size_t buffer_count = 0;
  std::unique_ptr<PoolBuffer[]> buffers;
  std::vector<PoolBuffer*> free;
  std::size_t position = 0;       // in slabs_
  std::size_t open_position = 0;  // in open_, if free is not empty

  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
};

namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kPage = 4'096;

constexpr std::size_t round_up(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

SlabPool::SlabPool(SlabPoolOptions options, Budget& budget)
    : options_{options}, stride_{round_up(std::max<std::size_t>(options.block_bytes, 1), kAlignment)}, budget_{budget} {
  if (options_.shareable) options_.slab_bytes = std::max(options_.slab_bytes, budget.limit_bytes() / kSharedSlabsMax);
}

SlabPool::~SlabPool() = default;

PoolBuffer* SlabPool::take() noexcept {
  if (open_.empty() && !add_slab()) return nullptr;
  Slab& slab = *open_.back();
  PoolBuffer* buffer = slab.free.back();
  slab.free.pop_back();
  if (slab.free.empty()) open_.pop_back();
  ++taken_;
  return buffer;
}

void SlabPool::give(PoolBuffer& buffer) noexcept {
  Slab& slab = *buffer.home;
  if (slab.free.empty()) {
    slab.open_position = open_.size();
    open_.push_back(&slab);  // never allocates: add_slab reserves
  }
  slab.free.push_back(&buffer);
  --taken_;
  if (slab.free.size() == slab.buffer_count && open_.size() > 1) drop_slab(slab);
}

void SlabPool::trim() noexcept {
  for (std::size_t i = slabs_.size(); i-- > 0;) {
    if (slabs_[i]->free.size() == slabs_[i]->buffer_count) drop_slab(*slabs_[i]);
  }
}

/// A whole slab if the budget has room, else a smaller one, so that the budget can be used up to its last block.
bool SlabPool::add_slab() {
  const std::size_t wanted = std::max<std::size_t>(options_.slab_bytes / stride_, 1);
  for (std::size_t buffers = wanted; buffers > 0; buffers /= 2) {
    if (map_slab(buffers)) return true;
  }
  return false;
}

std::byte* SlabPool::map_memory(Slab& slab) {
  static std::atomic<std::uint64_t> next_id{1};
  if (options_.shareable) {
    auto shared = SharedMemory::make(slab.bytes);
    if (shared) {
      slab.shared = *std::move(shared);
      slab.description = {.id = next_id.fetch_add(1), .fd = slab.shared->fd(), .bytes = slab.shared->bytes()};
      return slab.shared->bytes().data();
    }
    log::warn("blocks of this slab cannot be read by other processes: {}", shared.error().to_string());
  }
  void* memory =
      ::mmap(nullptr, slab.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  slab.memory = Mapping{memory, slab.bytes};
  return slab.memory.data();
}

bool SlabPool::map_slab(std::size_t buffers) try {
  auto slab = std::make_unique<Slab>();
  slab->bytes = round_up(buffers * stride_, kPage);
  slab->charge = Charge{budget_, slab->bytes};
  if (!slab->charge) return false;
  slab->buffers = std::make_unique<PoolBuffer[]>(buffers);
  slab->free.reserve(buffers);
  slabs_.reserve(slabs_.size() + 1);
  open_.reserve(slabs_.size() + 1);
  std::byte* memory = map_memory(*slab);
  if (memory == nullptr) return false;
  // The slab is charged as a whole, so large pages cost nothing, and first writes fault 512 times less. May be refused.
  ::madvise(memory, slab->bytes, MADV_HUGEPAGE);
  slab->buffer_count = buffers;
  for (std::size_t i = buffers; i-- > 0;) {
    PoolBuffer& buffer = slab->buffers[i];
    buffer.bytes = {memory + i * stride_, options_.block_bytes};
    buffer.owner = options_.owner;
    buffer.home = slab.get();
    buffer.slab = slab->shared ? &slab->description : nullptr;
    slab->free.push_back(&buffer);
  }
  memory_bytes_ += slab->bytes;
  slab->position = slabs_.size();
  slab->open_position = open_.size();
  open_.push_back(slab.get());
  slabs_.push_back(std::move(slab));
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

void SlabPool::drop_slab(Slab& slab) noexcept {
  open_[slab.open_position] = open_.back();
  open_[slab.open_position]->open_position = slab.open_position;
  open_.pop_back();
  memory_bytes_ -= slab.bytes;
  const std::size_t position = slab.position;
  std::swap(slabs_[position], slabs_.back());
  slabs_[position]->position = position;
  slabs_.pop_back();
}

bool SlabPool::check_integrity() const {
  std::size_t bytes = 0, buffers = 0, free = 0, open = 0;
  for (std::size_t i = 0; i < slabs_.size(); ++i) {
    const Slab& slab = *slabs_[i];
    if (slab.position != i || slab.charge.bytes() != slab.bytes) return false;
    if (!slab.free.empty() && open_.at(slab.open_position) != &slab) return false;
    bytes += slab.bytes;
    buffers += slab.buffer_count;
    free += slab.free.size();
    open += slab.free.empty() ? 0 : 1;
  }
  return bytes == memory_bytes_ && buffers == free + taken_ && open == open_.size() && bytes <= budget_.used_bytes();
}

}  // namespace llmd::kvstore
