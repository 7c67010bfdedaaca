// A part of a product that one thread computes at a time.
#pragma once

#include <stdint.h>

#include "lanes.h"

#ifdef LLMD_LANES

namespace column_tiles {

constexpr int64_t kTileRows = lanes::kLanes;
// Columns of a piece, if their scales fit. A step of 64 tokens of a prompt and of the sequences that decode is then one
// piece: a second one, with the few columns that are left, would decode all rows again.
constexpr int64_t kColumnsMax = 128;

// Rows of one matrix of src0 and columns of those of src1 it serves.
struct Piece {
  const char* matrix;
  int64_t row_begin, row_end, rows;
  int64_t column_begin, column_end;
};

struct Columns {
  const char* bytes[kColumnsMax];
  float* out[kColumnsMax];
};

}  // namespace column_tiles

#endif
