// Why: ggml's vec_dot decodes a row of quantised weights anew for every column, and its faster products (llamafile,
// repacked weights) take another kernel, with other rounding, when a batch has few columns. Here one kernel serves any
// number of columns: as many rows as a vector has lanes (16 with AVX-512, 8 with AVX2) are decoded once into a tile in
// the L1 cache, and each lane adds up one row's products in a fixed order. A sequence's logits are then the same bits
// whatever shares its batch, and large batches gain most.
//
// Quantised rows (Q4_0, Q4_1, Q8_0): tile[block][k / 4][plane][row][k % 4] holds unsigned weights; VPDPBUSD or
// VPMADDUBSW multiplies them with four signed activations that are broadcast to all rows. Where weights of 8 bits would
// overflow, their low nibbles are one plane and their high ones another. Weights with a bias b, value = d * (u - b),
// start at -b * sum(activations). F16 rows (the K and V caches): 4 rows by 3 or 4 columns of dot products, a vector of
// values at a time, one accumulator each.
#include "column_tiles.h"

#include "lanes.h"

#define GGML_COMMON_DECL_CPP
#include "ggml-common.h"
#include "ggml-cpu-impl.h"
#include "ggml-cpu.h"
#include "ggml-impl.h"

#ifdef LLMD_LANES

#include <algorithm>
#include <cstring>

namespace {

using lanes::Floats;
using lanes::Ints;

constexpr int64_t kTileRows = lanes::kLanes;
constexpr int64_t kBlock = 32;           // values that share a scale
constexpr int64_t kSegmentBlocks = 32;   // a tile of 16 rows x 1,024 values: 16 KiB, and 4 KiB of scales
constexpr int64_t kColumnScales = 8192;  // scales of the columns of a piece, 32 KiB
constexpr int64_t kColumnsMax = 64;      // columns of a piece
constexpr int64_t kDotRows = 4;
constexpr int64_t kDotColumns = lanes::kLanes == 16 ? 4 : 3;  // AVX2 has 16 registers: 12 sums, 3 columns, a row
constexpr int64_t kPiecesPerThread = 4;
constexpr int64_t kValuesMax = kColumnScales / 8 * kBlock;

float to_float(ggml_half half) { return _cvtsh_ss(half); }

// The scale d of a block; its min m or scaled sum s.
ggml_half scale_of(const block_q4_0& block) { return block.d; }
ggml_half scale_of(const block_q8_0& block) { return block.d; }
ggml_half scale_of(const block_q4_1& block) { return block.data.data.d; }
ggml_half scale_of(const block_q8_1& block) { return block.data.data.d; }
ggml_half second_of(const block_q4_1& block) { return block.data.data.m; }
ggml_half second_of(const block_q8_1& block) { return block.data.data.s; }

// How the rows of a type are decoded into unsigned bytes; kBias is what stands for zero.
template <typename Row>
struct Decode;

// The low nibbles are values 0..15 of a block, the high ones 16..31.
inline void decode_nibbles(const uint8_t* const* bytes, Ints* tile) {
  Ints packed[4];
  lanes::transpose(bytes, packed);
  for (int j = 0; j < 4; ++j) {
    tile[j] = lanes::low_nibbles(packed[j]);
    tile[4 + j] = lanes::high_nibbles(packed[j]);
  }
}

template <>
struct Decode<block_q4_0> {
  using Column = block_q8_0;
  static constexpr int kBias = 8;
  static constexpr bool kHasMin = false;
  static constexpr int kPlanes = 1;
  static void block(const uint8_t* const* bytes, Ints* tile) { decode_nibbles(bytes, tile); }
};

template <>
struct Decode<block_q4_1> {
  using Column = block_q8_1;
  static constexpr int kBias = 0;
  static constexpr bool kHasMin = true;
  static constexpr int kPlanes = 1;
  static void block(const uint8_t* const* bytes, Ints* tile) { decode_nibbles(bytes, tile); }
};

template <>
struct Decode<block_q8_0> {
  using Column = block_q8_0;
  static constexpr int kBias = 128;
  static constexpr bool kHasMin = false;
  static constexpr int kPlanes = lanes::kNibblesOnly ? 2 : 1;
  static void block(const uint8_t* const* bytes, Ints* tile) {
    const uint8_t* second[kTileRows];
    for (int row = 0; row < kTileRows; ++row) {
      second[row] = bytes[row] + 16;
    }
    Ints whole[8];
    lanes::transpose(bytes, whole);
    lanes::transpose(second, whole + 4);
    for (int j = 0; j < 8; ++j) {
      const Ints biased = lanes::flip_signs(whole[j]);
      if constexpr (kPlanes == 1) {
        tile[j] = biased;
      } else {
        tile[2 * j] = lanes::low_nibbles(biased);
        tile[2 * j + 1] = lanes::high_nibbles(biased);
      }
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
struct Tile {
  Ints weights[kSegmentBlocks * kVectors<Row>];
  Floats scale[kSegmentBlocks];
  Floats min[kSegmentBlocks];
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
    Decode<Row>::block(bytes, tile.weights + b * kVectors<Row>);
    tile.scale[b] = lanes::load_halves(scale[b]);
    if constexpr (Decode<Row>::kHasMin) {
      tile.min[b] = lanes::load_halves(min[b]);
    }
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

int64_t scale_index(int64_t column, int64_t block, int64_t blocks) {
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

template <typename Row, int kColumns>
void multiply_segment(const Tile<Row>& tile, const char* const* columns, const ColumnScales& scales,
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
      const Ints* weights = tile.weights + b * kVectors<Row> + j * kPlanes;
      for (int c = 0; c < kColumns; ++c) {
        int32_t four;
        memcpy(&four, column[c][b].qs + 4 * j, sizeof(four));
        for (int plane = 0; plane < kPlanes; ++plane) {
          dot[c][plane].add(weights[plane], four);
        }
      }
    }
    for (int c = 0; c < kColumns; ++c) {
      const Floats both = lanes::multiply(tile.scale[b], lanes::broadcast(scale[8 * b + c]));
      const Floats products = lanes::total(dot[c], start_of(b, c));
      total[c] = lanes::multiply_add(both, products, total[c]);
      if constexpr (Decode<Row>::kHasMin) {
        total[c] = lanes::multiply_add(tile.min[b], lanes::broadcast(sum[8 * b + c]), total[c]);
      }
    }
  }
  for (int c = 0; c < kColumns; ++c) {
    sums[c] = total[c];
  }
}

template <typename Row>
void multiply_group(int64_t n_columns, const Tile<Row>& tile, const char* const* columns, const ColumnScales& scales,
                    int64_t column_begin, int64_t blocks_all, int64_t block_begin, int64_t blocks, Floats* sums) {
#define LLMD_CASE(n) \
  case n: multiply_segment<Row, n>(tile, columns, scales, column_begin, blocks_all, block_begin, blocks, sums); break;
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

// The part of a product that one unit stands for: rows of one matrix of src0 and columns of those of src1 it serves.
struct Piece {
  const char* matrix;
  int64_t row_begin, row_end, rows;
  int64_t column_begin, column_end;
};

struct Plan {
  int64_t matrices, columns, column_chunks, column_chunk, row_chunks, row_chunk;
};

// src1's matrices that share a matrix of src0 (grouped-query attention) count as more columns.
Plan make_plan(const ggml_tensor* dst, int n_threads) {
  const ggml_tensor* src0 = dst->src[0];
  const ggml_tensor* src1 = dst->src[1];
  Plan plan{};
  plan.matrices = src0->ne[2] * src0->ne[3];
  plan.columns = src1->ne[1] * src1->ne[2] * src1->ne[3] / plan.matrices;
  const bool is_f16 = src0->type == GGML_TYPE_F16;
  const int64_t columns = is_f16 ? kColumnsMax : kColumnScales / (src0->ne[0] / kBlock) / 8 * 8;
  plan.column_chunk = std::clamp<int64_t>(columns, 1, std::min(plan.columns, kColumnsMax));
  plan.column_chunks = (plan.columns + plan.column_chunk - 1) / plan.column_chunk;
  const int64_t tiles = (src0->ne[1] + kTileRows - 1) / kTileRows;
  const int64_t others = plan.matrices * plan.column_chunks;
  const int64_t wanted = std::max<int64_t>(1, (kPiecesPerThread * n_threads + others - 1) / others);
  plan.row_chunk = (tiles + wanted - 1) / wanted * kTileRows;
  plan.row_chunks = (src0->ne[1] + plan.row_chunk - 1) / plan.row_chunk;
  return plan;
}

// F32 columns meet F16 rows as they are.
ggml_type column_type(const ggml_tensor* src0) {
  return src0->type == GGML_TYPE_F16 ? GGML_TYPE_F32 : ggml_get_type_traits_cpu(src0->type)->vec_dot_type;
}

struct Columns {
  const char* bytes[kColumnsMax];
  float* out[kColumnsMax];
};

void find_columns(const ggml_compute_params* params, const ggml_tensor* dst, int64_t matrix, int64_t begin, int64_t end,
                  Columns& columns) {
  const ggml_tensor* src0 = dst->src[0];
  const ggml_tensor* src1 = dst->src[1];
  const ggml_type type = column_type(src0);
  const size_t row_size = ggml_row_size(type, src1->ne[0]);
  const int64_t r2 = src1->ne[2] / src0->ne[2];
  const int64_t r3 = src1->ne[3] / src0->ne[3];
  for (int64_t j = begin; j < end; ++j) {
    const int64_t i1 = j % src1->ne[1];
    const int64_t i2 = matrix % src0->ne[2] * r2 + j / src1->ne[1] % r2;
    const int64_t i3 = matrix / src0->ne[2] * r3 + j / src1->ne[1] / r2;
    columns.bytes[j - begin] =
        src1->type == type ? (const char*)src1->data + i1 * src1->nb[1] + i2 * src1->nb[2] + i3 * src1->nb[3]
                           : (const char*)params->wdata + (i1 + (i2 + i3 * src1->ne[2]) * src1->ne[1]) * row_size;
    columns.out[j - begin] = (float*)((char*)dst->data + i1 * dst->nb[1] + i2 * dst->nb[2] + i3 * dst->nb[3]);
  }
}

template <typename Row>
void compute_quantised(const ggml_tensor* dst, const Piece& piece, const Columns& columns) {
  const int64_t blocks = dst->src[0]->ne[0] / kBlock;
  const int64_t n_columns = piece.column_end - piece.column_begin;
  ColumnScales scales;
  Tile<Row> tile;
  prepare_columns<Row>(columns.bytes, n_columns, blocks, scales);
  for (int64_t row = piece.row_begin; row < piece.row_end; row += kTileRows) {
    Floats sums[kColumnsMax];
    std::fill(sums, sums + n_columns, lanes::zero());
    for (int64_t block = 0; block < blocks; block += kSegmentBlocks) {
      const int64_t n_blocks = std::min(kSegmentBlocks, blocks - block);
      decode_segment<Row>(piece.matrix, dst->src[0]->nb[1], row, piece.rows, block, n_blocks, tile);
      for (int64_t c = 0; c < n_columns; c += kGroup<Row>) {
        multiply_group<Row>(std::min(kGroup<Row>, n_columns - c), tile, columns.bytes + c, scales, c, blocks, block,
                            n_blocks, sums + c);
      }
    }
    const int64_t rows = std::min(kTileRows, piece.row_end - row);
    for (int64_t c = 0; c < n_columns; ++c) {
      lanes::store_first(columns.out[c] + row, rows, sums[c]);
    }
  }
}

template <int kColumns>
void dot_f16(int64_t n, const ggml_half* const* rows, int64_t n_rows, const char* const* columns, float* const* out,
             int64_t row_begin) {
  Floats sums[kColumns][kDotRows];
  for (auto& column : sums) {
    std::fill(column, column + kDotRows, lanes::zero());
  }
  const auto add = [&](const auto& row_at, const auto& column_at) {
    Floats column[kColumns];
    for (int c = 0; c < kColumns; ++c) {
      column[c] = lanes::load(column_at(c));
    }
    for (int r = 0; r < kDotRows; ++r) {
      const Floats row = lanes::load_halves(row_at(r));
      for (int c = 0; c < kColumns; ++c) {
        sums[c][r] = lanes::multiply_add(row, column[c], sums[c][r]);
      }
    }
  };
  int64_t k = 0;
  for (; k + lanes::kLanes <= n; k += lanes::kLanes) {
    add([&](int r) { return rows[r] + k; }, [&](int c) { return (const float*)columns[c] + k; });
  }
  if (k < n) {
    ggml_half row[kDotRows][lanes::kLanes] = {};
    float column[kColumns][lanes::kLanes] = {};
    for (int r = 0; r < kDotRows; ++r) {
      memcpy(row[r], rows[r] + k, (size_t)(n - k) * sizeof(ggml_half));
    }
    for (int c = 0; c < kColumns; ++c) {
      memcpy(column[c], (const float*)columns[c] + k, (size_t)(n - k) * sizeof(float));
    }
    add([&](int r) { return row[r]; }, [&](int c) { return column[c]; });
  }
  for (int c = 0; c < kColumns; ++c) {
    const __m128 four = lanes::sum_of_each(sums[c][0], sums[c][1], sums[c][2], sums[c][3]);
    if (n_rows == kDotRows) {
      _mm_storeu_ps(out[c] + row_begin, four);
    } else {
      memcpy(out[c] + row_begin, &four, (size_t)n_rows * sizeof(float));
    }
  }
}

void compute_f16(const ggml_tensor* dst, const Piece& piece, const Columns& columns) {
  const int64_t n = dst->src[0]->ne[0];
  const int64_t n_columns = piece.column_end - piece.column_begin;
  const auto row_at = [&](int64_t row) {
    return (const ggml_half*)(piece.matrix + std::min(row, piece.rows - 1) * dst->src[0]->nb[1]);
  };
  // A row of the K cache is short and lies far from the next: the hardware does not foresee it.
  const int64_t ahead = n <= 128 ? 32 : 16;
  const int64_t lines = std::min<int64_t>(8, (n + 31) / 32);
  for (int64_t row = piece.row_begin; row < piece.row_end; row += kDotRows) {
    const ggml_half* rows[kDotRows];
    for (int64_t r = 0; r < kDotRows; ++r) {
      rows[r] = row_at(row + r);
      for (int64_t line = 0; line < lines; ++line) {
        _mm_prefetch(row_at(row + ahead + r) + 32 * line, _MM_HINT_T0);
      }
    }
    const int64_t n_rows = std::min(kDotRows, piece.row_end - row);
    int64_t c = 0;
    for (; c + kDotColumns <= n_columns; c += kDotColumns) {
      dot_f16<kDotColumns>(n, rows, n_rows, columns.bytes + c, columns.out + c, row);
    }
    switch (n_columns - c) {
      case 3: dot_f16<3>(n, rows, n_rows, columns.bytes + c, columns.out + c, row); break;
      case 2: dot_f16<2>(n, rows, n_rows, columns.bytes + c, columns.out + c, row); break;
      case 1: dot_f16<1>(n, rows, n_rows, columns.bytes + c, columns.out + c, row); break;
    }
  }
}

}  // namespace

// The choice looks at the rows alone: never at how many columns there are, or their values would depend on it.
int64_t llmd_column_tiles_units(const ggml_tensor* dst, int n_threads) {
  const ggml_tensor* src0 = dst->src[0];
  switch (src0->type) {
    case GGML_TYPE_F16:
      if (dst->src[1]->type != GGML_TYPE_F32) {
        return 0;
      }
      break;
    case GGML_TYPE_Q4_0:
    case GGML_TYPE_Q4_1:
    case GGML_TYPE_Q8_0:
      if (src0->ne[0] > kValuesMax) {
        return 0;
      }
      break;
    default: return 0;
  }
  const Plan plan = make_plan(dst, n_threads);
  return plan.matrices * plan.column_chunks * plan.row_chunks;
}

void llmd_column_tiles_compute(const ggml_compute_params* params, ggml_tensor* dst, int n_threads, int64_t unit) {
  const ggml_tensor* src0 = dst->src[0];
  const Plan plan = make_plan(dst, n_threads);
  const int64_t row = unit % plan.row_chunks * plan.row_chunk;
  const int64_t column = unit / plan.row_chunks % plan.column_chunks * plan.column_chunk;
  const int64_t matrix = unit / plan.row_chunks / plan.column_chunks;
  const Piece piece{(const char*)src0->data + matrix % src0->ne[2] * src0->nb[2] + matrix / src0->ne[2] * src0->nb[3],
                    row,
                    std::min(row + plan.row_chunk, src0->ne[1]),
                    src0->ne[1],
                    column,
                    std::min(column + plan.column_chunk, plan.columns)};
  Columns columns;
  find_columns(params, dst, matrix, piece.column_begin, piece.column_end, columns);
  switch (src0->type) {
    case GGML_TYPE_F16: compute_f16(dst, piece, columns); break;
    case GGML_TYPE_Q4_0: compute_quantised<block_q4_0>(dst, piece, columns); break;
    case GGML_TYPE_Q4_1: compute_quantised<block_q4_1>(dst, piece, columns); break;
    case GGML_TYPE_Q8_0: compute_quantised<block_q8_0>(dst, piece, columns); break;
    default: GGML_ABORT("column tiles do not know this type of rows");
  }
}

#else

int64_t llmd_column_tiles_units(const ggml_tensor* dst, int n_threads) {
  GGML_UNUSED(dst);
  GGML_UNUSED(n_threads);
  return 0;
}

void llmd_column_tiles_compute(const ggml_compute_params* params, ggml_tensor* dst, int n_threads, int64_t unit) {
  GGML_UNUSED(params);
  GGML_UNUSED(dst);
  GGML_UNUSED(n_threads);
  GGML_UNUSED(unit);
}

#endif
