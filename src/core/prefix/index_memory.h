#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/budget.h"

namespace llmd {

/// The memory of a PrefixIndex: charges its table, log and endpoints to the Budget before they are there, but for
/// take_always(); not the lists by which these are found, some bytes for each 4 KB. Frees what readers may still look
/// at only when they have left. A reader costs two atomic additions and never waits; it is counted in one of two
/// phases, and what the writer retires is freed after both phases have been seen empty.
///
/// enter() and leave() are for any thread, all else for one writer at a time.
class IndexMemory {
 public:
  explicit IndexMemory(Budget& budget) noexcept : budget_{budget} {}
  ~IndexMemory();
  IndexMemory(const IndexMemory&) = delete;
  IndexMemory& operator=(const IndexMemory&) = delete;

  /// While it lives, nothing that was reachable when it was made is freed.
  class Reader {
   public:
    explicit Reader(std::atomic<std::uint64_t>& count) noexcept : count_{count} { count_.fetch_add(1); }
    ~Reader() { count_.fetch_sub(1); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

   private:
    std::atomic<std::uint64_t>& count_;
  };
  /// `stripe` spreads threads over cache lines.
  [[nodiscard]] Reader enter(std::uint32_t stripe) noexcept {
    return Reader{stripes_[stripe % kStripes].readers[phase_.load() & 1U]};
  }

  /// Makes sure that so many bytes are charged, taken or not; false if the budget refuses.
  [[nodiscard]] bool cover(std::size_t bytes) noexcept;
  /// Counts bytes that live elsewhere until the end. False if the budget refuses.
  [[nodiscard]] bool count_in(std::size_t bytes) noexcept;
  /// Null if the budget refuses.
  [[nodiscard]] void* take(std::size_t bytes);
  /// As take(), for less than what is retired right after: over the budget, if it must be, by so much and so long.
  [[nodiscard]] void* take_always(std::size_t bytes);
  /// What take() gave and no reader can see; stays charged, for what is taken next.
  void give_back(void* memory, std::size_t bytes) noexcept;
  /// As give_back(), once those who read now have left.
  void retire(void* memory, std::size_t bytes);
  /// Frees what was retired, as far as readers have left.
  void reclaim() noexcept;

  [[nodiscard]] std::size_t taken_bytes() const noexcept { return taken_bytes_; }
  [[nodiscard]] std::size_t charged_bytes() const noexcept { return charged_bytes_; }

 private:
  static constexpr std::size_t kStripes = 16;
  static constexpr std::size_t kRetiredMax = 64 * 1024;
  struct alignas(64) Stripe {
    std::array<std::atomic<std::uint64_t>, 2> readers{};
  };
  struct Retired {
    void* memory;
    std::size_t bytes;
  };

  void free_all(std::vector<Retired>& retired) noexcept;
  [[nodiscard]] bool next_phase() noexcept;

  Budget& budget_;
  std::size_t charged_bytes_ = 0;
  std::size_t taken_bytes_ = 0;
  std::size_t retired_bytes_ = 0;        // since the last reclaim()
  std::vector<Retired> retired_;         // in this phase
  std::vector<Retired> retired_before_;  // in the phase before
  std::atomic<std::uint64_t> phase_{0};
  std::array<Stripe, kStripes> stripes_{};
};

}  // namespace llmd
