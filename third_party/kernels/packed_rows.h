// Quantised rows that lie in memory as tiles: gathered once when the model is loaded, not for every product. A tile of
// kTileRows rows takes as many bytes as they did: first the vectors that Decode<Row>::gather makes, of all its blocks,
// then [block][d or m][row] in 16 bits. Few columns are then limited by what memory delivers.
#pragma once

#include "quantised_rows.h"

#ifdef LLMD_LANES

namespace column_tiles {

template <typename Row>
class PackedTile {
 public:
  static constexpr int64_t kScales = Decode<Row>::kHasMin ? 2 : 1;
  static constexpr int64_t kBlockBytes = Decode<Row>::kStored * sizeof(Ints);
  static constexpr int64_t kScaleBytes = kTileRows * sizeof(ggml_half);

  static int64_t bytes(int64_t blocks) { return blocks * (kBlockBytes + kScales * kScaleBytes); }

  // The tile's blocks from `first` on, of `blocks` in all.
  PackedTile(const char* tile, int64_t blocks, int64_t first)
      : weights_{tile + first * kBlockBytes}, scales_{tile + blocks * kBlockBytes + first * kScales * kScaleBytes} {}

  Ints weights_of(int64_t block, int i) const {
    const char* stored = weights_ + block * kBlockBytes;
    return Decode<Row>::weights([&](int j) { return lanes::load_bytes(stored + j * sizeof(Ints)); }, i);
  }
  Floats scale_of(int64_t block) const { return half_of(block * kScales); }
  Floats min_of(int64_t block) const { return half_of(block * kScales + 1); }

 private:
  Floats half_of(int64_t i) const { return lanes::load_halves((const uint16_t*)(scales_ + i * kScaleBytes)); }

  const char* weights_;
  const char* scales_;
};

// kTileRows rows of `blocks` blocks that lie side by side.
template <typename Row>
void pack_tile(const Row* rows, int64_t blocks, char* tile) {
  using Packed = PackedTile<Row>;
  ggml_half* scales = (ggml_half*)(tile + blocks * Packed::kBlockBytes);
  for (int64_t b = 0; b < blocks; ++b) {
    const uint8_t* bytes[kTileRows];
    for (int64_t r = 0; r < kTileRows; ++r) {
      const Row& block = rows[r * blocks + b];
      bytes[r] = (const uint8_t*)block.qs;
      scales[b * Packed::kScales * kTileRows + r] = scale_of(block);
      if constexpr (Decode<Row>::kHasMin) {
        scales[(b * Packed::kScales + 1) * kTileRows + r] = second_of(block);
      }
    }
    Ints stored[Decode<Row>::kStored];
    Decode<Row>::gather(bytes, stored);
    for (int j = 0; j < Decode<Row>::kStored; ++j) {
      lanes::store_bytes(tile + b * Packed::kBlockBytes + j * sizeof(Ints), stored[j]);
    }
  }
}

// As QuantisedRows, of the same bits.
template <typename Row>
class PackedRows {
 public:
  void prepare(const ggml_tensor* dst, const Piece& piece, const Columns& columns) {
    prepare_columns<Row>(columns.bytes, piece.column_end - piece.column_begin, dst->src[0]->ne[0] / kBlock, scales_);
  }
  void compute(const ggml_tensor* dst, const Piece& piece, const Columns& columns);

 private:
  ColumnScales scales_;
};

template <typename Row>
void PackedRows<Row>::compute(const ggml_tensor* dst, const Piece& piece, const Columns& columns) {
  const int64_t blocks = dst->src[0]->ne[0] / kBlock;
  const int64_t n_columns = piece.column_end - piece.column_begin;
  for (int64_t row = piece.row_begin; row < piece.row_end; row += kTileRows) {
    const char* const tile = piece.matrix + row / kTileRows * PackedTile<Row>::bytes(blocks);
    Floats sums[kColumnsMax];
    std::fill(sums, sums + n_columns, lanes::zero());
    for (int64_t block = 0; block < blocks; block += kSegmentBlocks) {
      const int64_t n_blocks = std::min(kSegmentBlocks, blocks - block);
      const PackedTile<Row> rows{tile, blocks, block};
      for (int64_t c = 0; c < n_columns; c += kGroup<Row>) {
        multiply_group<Row>(std::min(kGroup<Row>, n_columns - c), rows, columns.bytes + c, scales_, c, blocks, block,
                            n_blocks, sums + c);
      }
    }
    for (int64_t c = 0; c < n_columns; ++c) {
      lanes::store_first(columns.out[c] + row, kTileRows, sums[c]);
    }
  }
}

}  // namespace column_tiles

#endif
