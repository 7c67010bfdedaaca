#include "tile_buffer.h"

#include "ggml-backend-impl.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml-impl.h"
#include "packed_rows.h"
#include "traits.h"

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

#ifdef LLMD_LANES

namespace {

using namespace column_tiles;

bool packs(const ggml_tensor* tensor) {
  switch (tensor->type) {
    case GGML_TYPE_Q4_0:
    case GGML_TYPE_Q4_1:
    case GGML_TYPE_Q8_0: break;
    default: return false;
  }
  return ggml_n_dims(tensor) == 2 && ggml_is_contiguous(tensor) && tensor->view_src == nullptr &&
         tensor->ne[0] <= kValuesMax && tensor->ne[1] % kTileRows == 0;
}

template <typename Row>
void pack(const ggml_tensor* tensor, const void* data) {
  const int64_t blocks = tensor->ne[0] / kBlock;
  for (int64_t row = 0; row < tensor->ne[1]; row += kTileRows) {
    pack_tile<Row>((const Row*)data + row * blocks, blocks,
                   (char*)tensor->data + row / kTileRows * PackedTile<Row>::bytes(blocks));
  }
}

void set_tensor(ggml_backend_buffer_t, ggml_tensor* tensor, const void* data, size_t offset, size_t size) {
  GGML_ASSERT(offset == 0 && size == ggml_nbytes(tensor) && "rows are packed as a whole");
  switch (tensor->type) {
    case GGML_TYPE_Q4_0: return pack<block_q4_0>(tensor, data);
    case GGML_TYPE_Q4_1: return pack<block_q4_1>(tensor, data);
    case GGML_TYPE_Q8_0: return pack<block_q8_0>(tensor, data);
    default: GGML_ABORT("no tiles of this type of rows");
  }
}

const char* get_name(ggml_backend_buffer_type_t) { return "CPU_TILES"; }

size_t get_alignment(ggml_backend_buffer_type_t) { return 64; }

ggml_backend_buffer_t alloc_buffer(ggml_backend_buffer_type_t type, size_t size) {
  ggml_backend_buffer_t buffer = ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), size);
  if (buffer == nullptr) {
    return nullptr;
  }
#ifdef __linux__
  // Reading all weights for every token goes through many pages; with large ones the processor knows where they lie.
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  const uintptr_t base = (uintptr_t)ggml_backend_buffer_get_base(buffer);
  const uintptr_t begin = (base + page - 1) / page * page;
  if (size > page) {
    madvise((void*)begin, (base + size - begin) / page * page, MADV_HUGEPAGE);
  }
#endif
  buffer->buft = type;
  buffer->iface.set_tensor = set_tensor;
  buffer->iface.get_tensor = nullptr;  // nobody reads weights back
  buffer->iface.cpy_tensor = nullptr;
  return buffer;
}

class TileBufferType : public ggml::cpu::extra_buffer_type {
 public:
  bool supports_op(ggml_backend_dev_t, const ggml_tensor* op) override {
    return op->op == GGML_OP_MUL_MAT && packs(op->src[0]) && op->src[1]->type == GGML_TYPE_F32 &&
           (op->src[1]->buffer == nullptr || ggml_backend_buft_is_host(op->src[1]->buffer->buft));
  }
  // ggml's own product goes on: it calls llmd_column_tiles_compute(), as for rows that are not packed.
  ggml::cpu::tensor_traits* get_tensor_traits(const ggml_tensor*) override { return nullptr; }
};

}  // namespace

ggml_backend_buffer_type_t llmd_tile_buffer_type(void) {
  static ggml_backend_buffer_type type = {
      {get_name, alloc_buffer, get_alignment, nullptr, nullptr, nullptr},
      ggml_backend_reg_dev_get(ggml_backend_cpu_reg(), 0),
      new TileBufferType,  // never destroyed: a thread may still compute while the process ends
  };
  return &type;
}

bool llmd_is_packed(const ggml_tensor* tensor) {
  return tensor->buffer != nullptr && tensor->buffer->buft == llmd_tile_buffer_type();
}

#else

ggml_backend_buffer_type_t llmd_tile_buffer_type(void) { return nullptr; }

bool llmd_is_packed(const ggml_tensor* tensor) {
  GGML_UNUSED(tensor);
  return false;
}

#endif
