// Matrix products for the CPU whose every element depends on one row and one column alone. Built into ggml-cpu by
// tools/build_llama.sh; third_party/patches/llama-column-tiles.patch calls it.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ggml_compute_params;
struct ggml_tensor;

// Pieces that the threads take in turn, a few for each of n_threads; 0: this product is left to ggml.
int64_t llmd_column_tiles_units(const struct ggml_tensor* dst, int n_threads);

// The next piece that no thread has taken.
typedef int64_t (*llmd_next_unit)(void* counter);

// Computes the piece `unit`, and then the next ones until all are taken. For quantised rows the columns must be in
// params->wdata in the rows' vec_dot_type, or have that type themselves; for F16 rows they are read where they lie.
void llmd_column_tiles_compute(const struct ggml_compute_params* params, struct ggml_tensor* dst, int n_threads,
                               int64_t unit, llmd_next_unit next, void* counter);

#ifdef __cplusplus
}
#endif
