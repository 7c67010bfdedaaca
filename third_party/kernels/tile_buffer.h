// Memory for weights that are kept as tiles (packed_rows.h): a buffer type of ggml-cpu, as the one for repacked weights
// is, but with the bits of rows that are not packed.
#pragma once

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ggml_backend_buffer_type;
struct ggml_tensor;

// Named "CPU_TILES"; null where the instruction set has no tiles.
struct ggml_backend_buffer_type* llmd_tile_buffer_type(void);

bool llmd_is_packed(const struct ggml_tensor* tensor);

#ifdef __cplusplus
}
#endif
