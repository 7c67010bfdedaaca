#include "llamacpp/backend.h"

#include <log.h>

#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "ggml-backend.h"
#include "llama.h"
#include "telemetry/log.h"

namespace llmd::llamacpp {
namespace {

thread_local std::string last_error;

void on_log(ggml_log_level level, const char* text, void* /*user_data*/) {
  std::string_view line{text == nullptr ? "" : text};
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (line.empty() || line == ".") return;
  if (level == GGML_LOG_LEVEL_ERROR) last_error.assign(line.substr(0, 500));
  log::debug("llama.cpp: {}", line);
}

}  // namespace

void ensure_backend() {
  static std::once_flag once;
  std::call_once(once, [] {
    llama_log_set(on_log, nullptr);
    // `common` prints model output that it cannot parse, from a thread of its own: its log stays off.
    common_log_set_verbosity_thold(-1);
    common_log_pause(common_log_main());
#ifdef LLMD_PORTABLE
    ggml_backend_load_all();
#endif
    llama_backend_init();
  });
}

std::string take_last_error() { return std::exchange(last_error, {}); }

}  // namespace llmd::llamacpp
