// Why: ggml's vec_dot decodes a row of quantised weights anew for every column, and its faster products (llamafile,
// repacked weights) take another kernel, with other rounding, when a batch has few columns. Here one kernel serves any
// number of columns: as many rows as a vector has lanes (16 with AVX-512, 8 with AVX2) are decoded once into a tile in
// the L1 cache, and each lane adds up one row's products in a fixed order. A sequence's logits are then the same bits
// whatever shares its batch, and large batches gain most. What a tile holds: quantised_rows.h, half_rows.h.
#include "column_tiles.h"

#include "half_rows.h"
#include "lanes.h"
#include "packed_rows.h"
#include "piece.h"
#include "quantised_rows.h"
#include "tile_buffer.h"

#define GGML_COMMON_DECL_CPP
#include "ggml-common.h"
#include "ggml-cpu-impl.h"
#include "ggml-cpu.h"
#include "ggml-impl.h"

#ifdef LLMD_LANES

#include <algorithm>

namespace {

using namespace column_tiles;

constexpr int64_t kPiecesPerThread = 4;
// Few columns wait for memory, and each piece begins with rows that nobody has asked for: fewer pieces are faster.
constexpr int64_t kFewColumns = 16;
constexpr int64_t kPiecesOfFewColumns = 2;
constexpr int64_t kHalfColumns = 64;  // of a piece with F16 rows

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
  const int64_t columns = is_f16 ? kHalfColumns : kColumnScales / (src0->ne[0] / kBlock) / 8 * 8;
  plan.column_chunk = std::clamp<int64_t>(columns, 1, std::min(plan.columns, kColumnsMax));
  plan.column_chunks = (plan.columns + plan.column_chunk - 1) / plan.column_chunk;
  const int64_t tiles = (src0->ne[1] + kTileRows - 1) / kTileRows;
  const int64_t others = plan.matrices * plan.column_chunks;
  const int64_t pieces = (plan.columns <= kFewColumns ? kPiecesOfFewColumns : kPiecesPerThread) * n_threads;
  const int64_t wanted = std::max<int64_t>(1, (pieces + others - 1) / others);
  plan.row_chunk = (tiles + wanted - 1) / wanted * kTileRows;
  plan.row_chunks = (src0->ne[1] + plan.row_chunk - 1) / plan.row_chunk;
  return plan;
}

// F32 columns meet F16 rows as they are.
ggml_type column_type(const ggml_tensor* src0) {
  return src0->type == GGML_TYPE_F16 ? GGML_TYPE_F32 : ggml_get_type_traits_cpu(src0->type)->vec_dot_type;
}

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

Piece make_piece(const Plan& plan, const ggml_tensor* src0, int64_t unit, int64_t matrix) {
  const int64_t row = unit % plan.row_chunks * plan.row_chunk;
  const int64_t column = unit / plan.row_chunks % plan.column_chunks * plan.column_chunk;
  return {(const char*)src0->data + matrix % src0->ne[2] * src0->nb[2] + matrix / src0->ne[2] * src0->nb[3],
          row,
          std::min(row + plan.row_chunk, src0->ne[1]),
          src0->ne[1],
          column,
          std::min(column + plan.column_chunk, plan.columns)};
}

template <typename Rows>
void compute_units(const ggml_compute_params* params, const ggml_tensor* dst, int n_threads, int64_t unit,
                   llmd_next_unit next, void* counter) {
  const Plan plan = make_plan(dst, n_threads);
  const int64_t units = plan.matrices * plan.column_chunks * plan.row_chunks;
  Rows rows;
  Columns columns;
  int64_t prepared = -1;
  for (; unit < units; unit = next(counter)) {
    const int64_t columns_of_unit = unit / plan.row_chunks;
    const int64_t matrix = columns_of_unit / plan.column_chunks;
    const Piece piece = make_piece(plan, dst->src[0], unit, matrix);
    if (columns_of_unit != prepared) {
      find_columns(params, dst, matrix, piece.column_begin, piece.column_end, columns);
      rows.prepare(dst, piece, columns);
      prepared = columns_of_unit;
    }
    rows.compute(dst, piece, columns);
  }
}

template <typename Row>
void compute_quantised(const ggml_compute_params* params, const ggml_tensor* dst, int n_threads, int64_t unit,
                       llmd_next_unit next, void* counter) {
  if (llmd_is_packed(dst->src[0])) {
    GGML_ASSERT(dst->src[0]->view_src == nullptr && "a part of packed weights is no weights");
    compute_units<PackedRows<Row>>(params, dst, n_threads, unit, next, counter);
  } else {
    compute_units<QuantisedRows<Row>>(params, dst, n_threads, unit, next, counter);
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

void llmd_column_tiles_compute(const ggml_compute_params* params, ggml_tensor* dst, int n_threads, int64_t unit,
                               llmd_next_unit next, void* counter) {
  switch (dst->src[0]->type) {
    case GGML_TYPE_F16: return compute_units<HalfRows>(params, dst, n_threads, unit, next, counter);
    case GGML_TYPE_Q4_0: return compute_quantised<block_q4_0>(params, dst, n_threads, unit, next, counter);
    case GGML_TYPE_Q4_1: return compute_quantised<block_q4_1>(params, dst, n_threads, unit, next, counter);
    case GGML_TYPE_Q8_0: return compute_quantised<block_q8_0>(params, dst, n_threads, unit, next, counter);
    default: GGML_ABORT("column tiles do not know this type of rows");
  }
}

#else

int64_t llmd_column_tiles_units(const ggml_tensor* dst, int n_threads) {
  GGML_UNUSED(dst);
  GGML_UNUSED(n_threads);
  return 0;
}

void llmd_column_tiles_compute(const ggml_compute_params* params, ggml_tensor* dst, int n_threads, int64_t unit,
                               llmd_next_unit next, void* counter) {
  GGML_UNUSED(params);
  GGML_UNUSED(dst);
  GGML_UNUSED(n_threads);
  GGML_UNUSED(unit);
  GGML_UNUSED(next);
  GGML_UNUSED(counter);
}

#endif
