// Products with quantised rows (Q4_0, Q4_1, Q8_0): tile[block][k / 4][plane][row][k % 4] holds unsigned weights;
// VPDPBUSD or VPMADDUBSW multiplies them with four signed activations that are broadcast to all rows. Where weights of
// 8 bits would overflow, their low nibbles are one plane and their high ones another. Weights with a bias b, value = d
// * (u - b), start at -b * sum(activations).
#pragma once

#include "piece.h"

#ifdef LLMD_LANES

#include <string.h>

#include <algorithm>

#define GGML_COMMON_DECL_CPP
#include "ggml-common.h"
#include "ggml.h"

namespace column_tiles {

using lanes::Floats;
using lanes::Ints;

constexpr int64_t kBlock = 32;           // values that share a scale
constexpr int64_t kSegmentBlocks = 32;   // a tile of 16 rows x 1,024 values: 16 KiB, and 4 KiB of scales
constexpr int64_t kColumnScales = 8192;  // scales of the columns of a piece, 32 KiB
constexpr int64_t kValuesMax = kColumnScales / 8 * kBlock;

inline float to_float(ggml_half half) { return _cvtsh_ss(half); }

// The scale d of a block; its min m or scaled sum s.
inline ggml_half scale_of(const block_q4_0& block) { return block.d; }
inline ggml_half scale_of(const block_q8_0& block) { return block.d; }
inline ggml_half scale_of(const block_q4_1& block) { return block.data.data.d; }
inline ggml_half scale_of(const block_q8_1& block) { return block.data.data.d; }
inline ggml_half second_of(const block_q4_1& block) { return block.data.data.m; }
inline ggml_half second_of(const block_q8_1& block) { return block.data.data.s; }

// How the rows of a type become unsigned bytes: gather() brings a block of all rows of a tile into kStored vectors of
// as many bytes as the rows have, weights(stored, i) makes vector i of those to multiply by. kBias is what stands for
// zero.
template <typename Row>
struct Decode;

// The low nibbles are values 0..15 of a block, the high ones 16..31.
struct DecodeNibbles {
  static constexpr int kPlanes = 1;
  static constexpr int kStored = 4;
  static void gather(const uint8_t* const* bytes, Ints* stored) { lanes::transpose(bytes, stored); }
  template <typename Stored>
  static Ints weights(const Stored& stored, int i) {
    return i < 4 ? lanes::low_nibbles(stored(i)) : lanes::high_nibbles(stored(i - 4));
  }
};

template <>
struct Decode<block_q4_0> : DecodeNibbles {
  using Column = block_q8_0;
  static constexpr int kBias = 8;
  static constexpr bool kHasMin = false;
};

template <>
struct Decode<block_q4_1> : DecodeNibbles {
  using Column = block_q8_1;
  static constexpr int kBias = 0;
  static constexpr bool kHasMin = true;
};

template <>
struct Decode<block_q8_0> {
  using Column = block_q8_0;
  static constexpr int kBias = 128;
  static constexpr bool kHasMin = false;
  static constexpr int kPlanes = lanes::kNibblesOnly ? 2 : 1;
  static constexpr int kStored = 8;
  static void gather(const uint8_t* const* bytes, Ints* stored) {
    const uint8_t* second[kTileRows];
    for (int row = 0; row < kTileRows; ++row) {
      second[row] = bytes[row] + 16;
    }
    lanes::transpose(bytes, stored);
    lanes::transpose(second, stored + 4);
    for (int j = 0; j < kStored; ++j) {
      stored[j] = lanes::flip_signs(stored[j]);
    }
  }
  template <typename Stored>
  static Ints weights(const Stored& stored, int i) {
    if constexpr (kPlanes == 1) {
      return stored(i);
    } else {
      return i % 2 == 0 ? lanes::low_nibbles(stored(i / 2)) : lanes::high_nibbles(stored(i / 2));
    }
  }
};

// Registers of a block's weights.
template <typename Row>
constexpr int kVectors = 8 * Decode<Row>::kPlanes;

// Columns that share a pass over a tile: their sums stay in registers.
template <typename Row>
constexpr int64_t kGroup = 8 / Decode<Row>::kPlanes;

template <typename Row>
constexpr int64_t kPrefetchFrom = sizeof(Row) > kBlock ? 8 : 3;  // columns; rows of 8 bits take longer to come

template <typename Row>
struct Tile {
  Ints weights[kSegmentBlocks * kVectors<Row>];
  Floats scale[kSegmentBlocks];
  Floats min[kSegmentBlocks];

  Ints weights_of(int64_t block, int i) const { return weights[block * kVectors<Row> + i]; }
  Floats scale_of(int64_t block) const { return scale[block]; }
  Floats min_of(int64_t block) const { return min[block]; }
};

// Rows beyond the matrix repeat its last one; their results are not stored.
template <typename Row>
void decode_segment(const char* matrix, size_t row_stride, int64_t row_begin, int64_t rows, int64_t block_begin,
                    int64_t blocks, Tile<Row>& tile) {
  const Row* row[kTileRows];
  alignas(64) ggml_half scale[kSegmentBlocks][kTileRows];
  alignas(64) ggml_half min[kSegmentBlocks][kTileRows];
  for (int64_t r = 0; r < kTileRows; ++r) {
    row[r] = (const Row*)(matrix + std::min(row_begin + r, rows - 1) * row_stride) + block_begin;
    for (int64_t b = 0; b < blocks; ++b) {
      scale[b][r] = scale_of(row[r][b]);
      if constexpr (Decode<Row>::kHasMin) {
        min[b][r] = second_of(row[r][b]);
      }
    }
  }
  for (int64_t b = 0; b < blocks; ++b) {
    const uint8_t* bytes[kTileRows];
    for (int64_t r = 0; r < kTileRows; ++r) {
      bytes[r] = (const uint8_t*)row[r][b].qs;
    }
    Ints stored[Decode<Row>::kStored];
    Decode<Row>::gather(bytes, stored);
    for (int i = 0; i < kVectors<Row>; ++i) {
      tile.weights[b * kVectors<Row> + i] = Decode<Row>::weights([&](int j) { return stored[j]; }, i);
    }
    tile.scale[b] = lanes::load_halves(scale[b]);
    if constexpr (Decode<Row>::kHasMin) {
      tile.min[b] = lanes::load_halves(min[b]);
    }
  }
}

// Asks for as much of the rows behind a tile as one of its segments holds: they lie side by side, and together the
// segments ask for all of the next tile.
template <typename Row>
void prefetch_behind(const char* matrix, size_t row_stride, int64_t row_begin, int64_t block_begin, int64_t blocks) {
  const char* from = matrix + (row_begin + kTileRows) * row_stride + block_begin * kTileRows * sizeof(Row);
  for (size_t at = 0; at < blocks * kTileRows * sizeof(Row); at += 64) {
    _mm_prefetch(from + at, _MM_HINT_T1);
  }
}

// What a piece needs of its columns beside their bytes: d, and either -bias * sum of a block or s. Those of 8 columns
// lie side by side.
struct ColumnScales {
  alignas(64) float scale[kColumnScales];
  union {
    float sum[kColumnScales];
    int32_t start[kColumnScales];
  };
};

inline int64_t scale_index(int64_t column, int64_t block, int64_t blocks) {
  return (column / 8 * blocks + block) * 8 + column % 8;
}

template <typename Row>
void prepare_columns(const char* const* columns, int64_t n_columns, int64_t blocks, ColumnScales& scales) {
  using Column = typename Decode<Row>::Column;
  for (int64_t c = 0; c < n_columns; ++c) {
    const Column* column = (const Column*)columns[c];
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t at = scale_index(c, b, blocks);
      scales.scale[at] = to_float(scale_of(column[b]));
      if constexpr (Decode<Row>::kHasMin) {
        scales.sum[at] = to_float(second_of(column[b]));
      } else {
        const __m256i values = _mm256_loadu_si256((const __m256i*)column[b].qs);
        const __m256i sums = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), values), _mm256_set1_epi16(1));
        const __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
        const __m128i pair = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
        const int32_t sum = _mm_cvtsi128_si32(_mm_add_epi32(pair, _mm_shuffle_epi32(pair, 0xb1)));
        scales.start[at] = -Decode<Row>::kBias * sum;
      }
    }
  }
}

// Rows: a Tile, or what has its members.
template <typename Row, int kColumns, typename Rows>
void multiply_segment(const Rows& rows, const char* const* columns, const ColumnScales& scales,
                      int64_t column_begin, int64_t blocks_all, int64_t block_begin, int64_t blocks, Floats* sums) {
  using Column = typename Decode<Row>::Column;
  constexpr int kPlanes = Decode<Row>::kPlanes;
  Floats total[kColumns];
  const Column* column[kColumns];
  const int64_t first = scale_index(column_begin, block_begin, blocks_all);
  const float* scale = scales.scale + first;
  const float* sum = scales.sum + first;
  const auto start_of = [&](int64_t b, int c) { return Decode<Row>::kHasMin ? 0 : scales.start[first + 8 * b + c]; };
  for (int c = 0; c < kColumns; ++c) {
    total[c] = sums[c];
    column[c] = (const Column*)columns[c] + block_begin;
  }
  for (int64_t b = 0; b < blocks; ++b) {
    lanes::Dot dot[kColumns][kPlanes];
    for (int c = 0; c < kColumns; ++c) {
      for (lanes::Dot& plane : dot[c]) {
        plane.begin(start_of(b, c));
      }
    }
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      Ints weights[kPlanes];
      for (int plane = 0; plane < kPlanes; ++plane) {
        weights[plane] = rows.weights_of(b, j * kPlanes + plane);
      }
      for (int c = 0; c < kColumns; ++c) {
        int32_t four;
        memcpy(&four, column[c][b].qs + 4 * j, sizeof(four));
        for (int plane = 0; plane < kPlanes; ++plane) {
          dot[c][plane].add(weights[plane], four);
        }
      }
    }
    for (int c = 0; c < kColumns; ++c) {
      const Floats both = lanes::multiply(rows.scale_of(b), lanes::broadcast(scale[8 * b + c]));
      const Floats products = lanes::total(dot[c], start_of(b, c));
      total[c] = lanes::multiply_add(both, products, total[c]);
      if constexpr (Decode<Row>::kHasMin) {
        total[c] = lanes::multiply_add(rows.min_of(b), lanes::broadcast(sum[8 * b + c]), total[c]);
      }
    }
  }
  for (int c = 0; c < kColumns; ++c) {
    sums[c] = total[c];
  }
}

template <typename Row, typename Rows>
void multiply_group(int64_t n_columns, const Rows& rows, const char* const* columns, const ColumnScales& scales,
                    int64_t column_begin, int64_t blocks_all, int64_t block_begin, int64_t blocks, Floats* sums) {
#define LLMD_CASE(n) \
  case n: multiply_segment<Row, n>(rows, columns, scales, column_begin, blocks_all, block_begin, blocks, sums); break;
  switch (n_columns) {
    LLMD_CASE(1)
    LLMD_CASE(2)
    LLMD_CASE(3)
    LLMD_CASE(4)
  }
  if constexpr (kGroup<Row> == 8) {
    switch (n_columns) {
      LLMD_CASE(5)
      LLMD_CASE(6)
      LLMD_CASE(7)
      LLMD_CASE(8)
    }
  }
#undef LLMD_CASE
}

// Pieces with rows of one quantised type. Pieces that follow each other and have the same columns share prepare().
template <typename Row>
class QuantisedRows {
 public:
  void prepare(const ggml_tensor* dst, const Piece& piece, const Columns& columns) {
    prepare_columns<Row>(columns.bytes, piece.column_end - piece.column_begin, dst->src[0]->ne[0] / kBlock, scales_);
  }
  void compute(const ggml_tensor* dst, const Piece& piece, const Columns& columns);

 private:
  ColumnScales scales_;
};

template <typename Row>
void QuantisedRows<Row>::compute(const ggml_tensor* dst, const Piece& piece, const Columns& columns) {
  const int64_t blocks = dst->src[0]->ne[0] / kBlock;
  Tile<Row> tile;  // here, and not a member: few columns are a fifth faster with it
  const char* const matrix = piece.matrix;
  const size_t stride = dst->src[0]->nb[1];
  const int64_t all_rows = piece.rows;
  const int64_t n_columns = piece.column_end - piece.column_begin;
  // With fewer columns the hardware is soon enough where rows are read from end to end, and asking gets in its way.
  const bool ahead = n_columns >= kPrefetchFrom<Row> || blocks > kSegmentBlocks;
  for (int64_t row = piece.row_begin; row < piece.row_end; row += kTileRows) {
    Floats sums[kColumnsMax];
    std::fill(sums, sums + n_columns, lanes::zero());
    for (int64_t block = 0; block < blocks; block += kSegmentBlocks) {
      const int64_t n_blocks = std::min(kSegmentBlocks, blocks - block);
      if (ahead && row + kTileRows < piece.row_end) prefetch_behind<Row>(matrix, stride, row, block, n_blocks);
      decode_segment<Row>(matrix, stride, row, all_rows, block, n_blocks, tile);
      for (int64_t c = 0; c < n_columns; c += kGroup<Row>) {
        multiply_group<Row>(std::min(kGroup<Row>, n_columns - c), tile, columns.bytes + c, scales_, c, blocks, block,
                            n_blocks, sums + c);
      }
    }
    const int64_t rows = std::min(kTileRows, piece.row_end - row);
    for (int64_t c = 0; c < n_columns; ++c) {
      lanes::store_first(columns.out[c] + row, rows, sums[c]);
    }
  }
}

}  // namespace column_tiles

#endif
