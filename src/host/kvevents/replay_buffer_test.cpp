#include "kvevents/replay_buffer.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "base/rng.h"

namespace llmd::kvevents {
namespace {

PayloadHandle payload(std::uint64_t seq, std::size_t bytes) {
  return PayloadHandle{new Payload{seq, std::string(bytes, 'x'), {}}};
}

/// Oracle: numbers and sizes, oldest first.
struct NaiveBuffer {
  std::size_t batches_max, bytes_max;
  std::vector<std::pair<std::uint64_t, std::size_t>> batches{};
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (const auto& each : batches) sum += each.second;
    return sum;
  }
  void add(std::uint64_t seq, std::size_t size) {
    batches.emplace_back(seq, size);
    while (batches.size() > 1 && (batches.size() > batches_max || bytes() > bytes_max)) batches.erase(batches.begin());
  }
  [[nodiscard]] std::int64_t from(std::uint64_t seq) const {
    for (const auto& each : batches) {
      if (each.first >= seq) return static_cast<std::int64_t>(each.first);
    }
    return -1;
  }
};

TEST(ReplayBuffer, AgreesWithNaiveBufferOnAnySequence) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Rng rng{seed};
    const std::size_t batches_max = 1 + rng.below(6);
    const std::size_t bytes_max = 50 + rng.below(200);  // less than some batches
    ReplayBuffer buffer{{.batches_max = batches_max, .bytes_max = bytes_max}};
    NaiveBuffer naive{batches_max, bytes_max};
    for (std::uint64_t step = 0, seq = 0; step < 200; ++step) {
      seq += 1 + rng.below(2);  // some were dropped before
      const std::size_t size = rng.below(100);
      buffer.add(payload(seq, size));
      naive.add(seq, size);
      ASSERT_EQ(buffer.size(), naive.batches.size()) << "seed " << seed;
      ASSERT_EQ(buffer.bytes(), naive.bytes()) << "seed " << seed;
      const std::uint64_t wanted = rng.below(seq + 3);
      const Payload* const found = buffer.from(wanted);
      ASSERT_EQ(found == nullptr ? -1 : static_cast<std::int64_t>(found->seq()), naive.from(wanted)) << "seed " << seed;
      ASSERT_EQ(buffer.end(), naive.batches.empty() ? 0 : seq + 1) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace llmd::kvevents
