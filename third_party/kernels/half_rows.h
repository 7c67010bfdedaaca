// Products with F16 rows (the K and V caches) and F32 columns. Every element is the sum of one accumulator a lane,
// which adds up the values k, k + lanes, ... in order; the accumulators are then added in one fixed tree. Three ways
// lead to these same bits: a lane a value (few columns), the same with the rows made F32 first (many columns), and, for
// short rows with many columns, a lane a row, which needs no shuffles to add up.
#pragma once

#include "piece.h"

#ifdef LLMD_LANES

#include <string.h>

#include <algorithm>

#define GGML_COMMON_DECL_CPP
#include "ggml-common.h"
#include "ggml.h"

namespace column_tiles {

class HalfRows {
 public:
  void prepare(const ggml_tensor*, const Piece&, const Columns&) {}
  void compute(const ggml_tensor* dst, const Piece& piece, const Columns& columns);

 private:
  using Floats = lanes::Floats;
  static constexpr int64_t kLanes = lanes::kLanes;
  static constexpr int64_t kDotRows = 4;
  static constexpr int64_t kDotColumns = kLanes == 16 ? 4 : 3;  // AVX2 has 16 registers: 12 sums, 3 columns, a row
  static constexpr int64_t kTurnedValues = 128;                 // a tile of 8 KiB
  static constexpr int64_t kTurnedColumns = kLanes == 16 ? 6 : 3;
  static constexpr int64_t kTurnedFrom = 8;         // columns; turning the rows costs as much as about six
  static constexpr int64_t kWidenedValues = 2'048;  // of four rows, 32 KiB

  static const ggml_half* row_at(const ggml_tensor* dst, const Piece& piece, int64_t row) {
    return (const ggml_half*)(piece.matrix + std::min(row, piece.rows - 1) * dst->src[0]->nb[1]);
  }
  static void prefetch(const ggml_tensor* dst, const Piece& piece, int64_t begin, int64_t rows);

  void compute_dots(const ggml_tensor* dst, const Piece& piece, const Columns& columns);
  void compute_widened(const ggml_tensor* dst, const Piece& piece, const Columns& columns);
  template <int kColumns, typename Value>
  static void dots(int64_t n, const Value* const* rows, int64_t n_rows, const char* const* columns, float* const* out,
                   int64_t row_begin);
  template <typename Value>
  static void dots_of_all(int64_t n, const Value* const* rows, int64_t n_rows, int64_t n_columns,
                          const Columns& columns, int64_t row_begin);

  void compute_turned(const ggml_tensor* dst, const Piece& piece, const Columns& columns);
  template <int kSteps>
  void compute_turned_rows(const Piece& piece, const Columns& columns, int64_t row) const;
  template <int kSteps, int kColumns>
  void turned(const char* const* columns, Floats (&sums)[kColumns]) const;

  // compute_turned: [value][row]. compute_widened: four rows as F32, one after the other.
  alignas(64) float tile_[std::max(kTurnedValues * kLanes, kDotRows* kWidenedValues)];
};

inline lanes::Floats load_values(const ggml_half* values) { return lanes::load_halves(values); }
inline lanes::Floats load_values(const float* values) { return lanes::load(values); }

template <int kColumns, typename Value>
__attribute__((always_inline)) inline void HalfRows::dots(int64_t n, const Value* const* rows, int64_t n_rows,
                                                          const char* const* columns, float* const* out,
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
      const Floats row = load_values(row_at(r));
      for (int c = 0; c < kColumns; ++c) {
        sums[c][r] = lanes::multiply_add(row, column[c], sums[c][r]);
      }
    }
  };
  int64_t k = 0;
  for (; k + kLanes <= n; k += kLanes) {
    add([&](int r) { return rows[r] + k; }, [&](int c) { return (const float*)columns[c] + k; });
  }
  if (k < n) {
    Value row[kDotRows][kLanes] = {};
    float column[kColumns][kLanes] = {};
    for (int r = 0; r < kDotRows; ++r) {
      memcpy(row[r], rows[r] + k, (size_t)(n - k) * sizeof(Value));
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

template <typename Value>
void HalfRows::dots_of_all(int64_t n, const Value* const* rows, int64_t n_rows, int64_t n_columns,
                           const Columns& columns, int64_t row_begin) {
  int64_t c = 0;
  for (; c + kDotColumns <= n_columns; c += kDotColumns) {
    dots<kDotColumns>(n, rows, n_rows, columns.bytes + c, columns.out + c, row_begin);
  }
  switch (n_columns - c) {
    case 3: dots<3>(n, rows, n_rows, columns.bytes + c, columns.out + c, row_begin); break;
    case 2: dots<2>(n, rows, n_rows, columns.bytes + c, columns.out + c, row_begin); break;
    case 1: dots<1>(n, rows, n_rows, columns.bytes + c, columns.out + c, row_begin); break;
  }
}

// A row of the K cache is short and lies far from the next: the hardware does not foresee it.
inline void HalfRows::prefetch(const ggml_tensor* dst, const Piece& piece, int64_t begin, int64_t rows) {
  const int64_t n = dst->src[0]->ne[0];
  const int64_t ahead = n <= 128 ? 32 : 16;
  const int64_t lines = std::min<int64_t>(8, (n + 31) / 32);
  for (int64_t r = 0; r < rows; ++r) {
    const ggml_half* row = row_at(dst, piece, begin + ahead + r);
    for (int64_t line = 0; line < lines; ++line) {
      _mm_prefetch(row + 32 * line, _MM_HINT_T0);
    }
  }
}

inline void HalfRows::compute_dots(const ggml_tensor* dst, const Piece& piece, const Columns& columns) {
  const int64_t n = dst->src[0]->ne[0];
  const int64_t n_columns = piece.column_end - piece.column_begin;
  const char* const matrix = piece.matrix;
  const int64_t last = piece.rows - 1, end = piece.row_end;
  const size_t stride = dst->src[0]->nb[1];
  const auto row_at = [&](int64_t row) { return (const ggml_half*)(matrix + std::min(row, last) * stride); };
  const int64_t ahead = n <= 128 ? 32 : 16;
  const int64_t lines = std::min<int64_t>(8, (n + 31) / 32);
  for (int64_t row = piece.row_begin; row < end; row += kDotRows) {
    const ggml_half* rows[kDotRows];
    for (int64_t r = 0; r < kDotRows; ++r) {
      rows[r] = row_at(row + r);
      for (int64_t line = 0; line < lines; ++line) {
        _mm_prefetch(row_at(row + ahead + r) + 32 * line, _MM_HINT_T0);
      }
    }
    const int64_t n_rows = std::min(kDotRows, end - row);
    dots_of_all(n, rows, n_rows, n_columns, columns, row);
  }
}

inline void HalfRows::compute_widened(const ggml_tensor* dst, const Piece& piece, const Columns& columns) {
  const int64_t n = dst->src[0]->ne[0];
  const float* rows[kDotRows];
  for (int64_t row = piece.row_begin; row < piece.row_end; row += kDotRows) {
    for (int64_t r = 0; r < kDotRows; ++r) {
      rows[r] = tile_ + r * n;
      const ggml_half* narrow = row_at(dst, piece, row + r);
      for (int64_t k = 0; k < n; k += kLanes) {
        lanes::store(tile_ + r * n + k, lanes::load_halves(narrow + k));
      }
    }
    const int64_t n_rows = std::min(kDotRows, piece.row_end - row);
    dots_of_all(n, rows, n_rows, piece.column_end - piece.column_begin, columns, row);
  }
}

// The tree is that of lanes::sum_of_each.
template <int kSteps, int kColumns>
void HalfRows::turned(const char* const* columns, Floats (&sums)[kColumns]) const {
  const auto partial = [&](int64_t lane, Floats(&out)[kColumns]) {
    std::fill(out, out + kColumns, lanes::zero());
#pragma GCC unroll 16
    for (int step = 0; step < kSteps; ++step) {
      const int64_t k = step * kLanes + lane;
      const Floats rows = lanes::load(tile_ + k * kLanes);
      for (int c = 0; c < kColumns; ++c) {
        out[c] = lanes::multiply_add(rows, lanes::broadcast(((const float*)columns[c])[k]), out[c]);
      }
    }
  };
  const auto add = [](Floats(&to)[kColumns], const Floats(&other)[kColumns]) {
    for (int c = 0; c < kColumns; ++c) {
      to[c] = lanes::plus(to[c], other[c]);
    }
  };
  const auto quarter = [&](int64_t first, Floats(&out)[kColumns]) {
    Floats odd[kColumns];
    Floats other[kColumns];
    partial(first, out);
    partial(first + 2, other);
    add(out, other);
    partial(first + 1, odd);
    partial(first + 3, other);
    add(odd, other);
    add(out, odd);
  };
  quarter(0, sums);
  Floats second[kColumns];
  if constexpr (kLanes == 16) {
    Floats last[kColumns];
    quarter(8, second);
    add(sums, second);
    quarter(4, second);
    quarter(12, last);
    add(second, last);
  } else {
    quarter(4, second);
  }
  add(sums, second);
}

inline void HalfRows::compute_turned(const ggml_tensor* dst, const Piece& piece, const Columns& columns) {
  const int64_t n = dst->src[0]->ne[0];
  for (int64_t row = piece.row_begin; row < piece.row_end; row += kLanes) {
    prefetch(dst, piece, row, kLanes);
    for (int64_t k = 0; k < n; k += kLanes) {
      Floats values[kLanes];
      for (int64_t r = 0; r < kLanes; ++r) {
        values[r] = lanes::load_halves(row_at(dst, piece, row + r) + k);
      }
      lanes::transpose(values);
      for (int64_t i = 0; i < kLanes; ++i) {
        lanes::store(tile_ + (k + i) * kLanes, values[i]);
      }
    }
    switch (n) {
      case 64: compute_turned_rows<64 / kLanes>(piece, columns, row); break;
      case 96: compute_turned_rows<96 / kLanes>(piece, columns, row); break;
      case 128: compute_turned_rows<128 / kLanes>(piece, columns, row); break;
    }
  }
}

template <int kSteps>
void HalfRows::compute_turned_rows(const Piece& piece, const Columns& columns, int64_t row) const {
  const int64_t n_columns = piece.column_end - piece.column_begin;
  const int64_t n_rows = std::min(kLanes, piece.row_end - row);
  const auto group = [&](auto columns_of_group, int64_t c) {
    constexpr int kColumns = decltype(columns_of_group)::value;
    Floats sums[kColumns];
    turned<kSteps>(columns.bytes + c, sums);
    for (int i = 0; i < kColumns; ++i) {
      lanes::store_first(columns.out[c + i] + row, n_rows, sums[i]);
    }
  };
  int64_t c = 0;
  for (; c + kTurnedColumns <= n_columns; c += kTurnedColumns) {
    group(std::integral_constant<int, kTurnedColumns>{}, c);
  }
  for (; c < n_columns; ++c) {
    group(std::integral_constant<int, 1>{}, c);
  }
}

inline void HalfRows::compute(const ggml_tensor* dst, const Piece& piece, const Columns& columns) {
  const int64_t n = dst->src[0]->ne[0];
  if (piece.column_end - piece.column_begin < kTurnedFrom) {
    compute_dots(dst, piece, columns);
  } else if (n == 64 || n == 96 || n == 128) {
    compute_turned(dst, piece, columns);
  } else if (n <= kWidenedValues && n % kLanes == 0) {
    compute_widened(dst, piece, columns);
  } else {
    compute_dots(dst, piece, columns);
  }
}

}  // namespace column_tiles

#endif
