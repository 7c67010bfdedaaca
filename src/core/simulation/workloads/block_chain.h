#pragma once

#include <cstdint>
#include <vector>

namespace llmd::simulation {

/// A run of tokens. Equal ids mean equal tokens, as far as both go.
struct Text {
  std::uint64_t id = 0;
  std::uint32_t tokens = 0;
};

/// Names the whole blocks of texts that follow each other. Two chains have equal names for as many whole blocks as
/// hold the same texts from the beginning; a block that one text begins and another ends has the name of both. Each
/// text is appended once, as a whole. O(blocks).
class BlockChain {
 public:
  /// Blocks of no tokens count as blocks of one.
  explicit BlockChain(std::uint32_t block_tokens) noexcept;

  void append(Text text);
  [[nodiscard]] std::uint64_t tokens() const noexcept { return tokens_; }
  [[nodiscard]] const std::vector<std::uint64_t>& blocks() const noexcept { return blocks_; }

 private:
  std::uint32_t block_tokens_;
  std::uint32_t filled_ = 0;  // tokens of the block that is not whole yet
  std::uint64_t name_ = 0;    // of all so far
  std::uint64_t tokens_ = 0;
  std::vector<std::uint64_t> blocks_;
};

}  // namespace llmd::simulation
