#pragma once

#include <ggml-backend.h>

#include <string_view>

namespace llmd::llamacpp::testkit {

/// The buffer type for weights that lie as tiles; null if this machine has none.
inline ggml_backend_buffer_type* tile_buffer_type() {
  ggml_backend_device* cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  const auto extra = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(cpu), "ggml_backend_dev_get_extra_bufts"));
  for (ggml_backend_buffer_type** type = extra(cpu); *type != nullptr; ++type) {
    if (std::string_view{ggml_backend_buft_name(*type)} == "CPU_TILES") return *type;
  }
  return nullptr;
}

}  // namespace llmd::llamacpp::testkit
