#include "apps/doctor/checks.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>

#include "base/mebibytes.h"
#include "engine/memory_plan.h"
#include "llamacpp/gguf_file.h"
#include "llamacpp/model_facts.h"
#include "llamacpp/model_file.h"
#include "net/server.h"
#include "runtime/runtime_directory.h"

namespace llmd::doctor {
namespace {

std::string read_text(const char* path) {
  std::ifstream stream{path};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

}  // namespace

Finding check_port(std::string_view listen) {
  const auto address = net::Address::parse(listen);
  if (!address) return {Verdict::kBad, "port", address.error().to_string()};
  Loop loop{"doctor"};
  auto handler = [](net::Request, net::Exchange&) -> Task<void> { co_return; };
  auto server = net::Server::listen({&loop}, {.listen = *address}, handler);
  if (!server) return {Verdict::kBad, "port", server.error().to_string()};
  (*server)->close();
  return {Verdict::kGood, "port", fmt::format("{} is free", listen)};
}

Finding check_model(const std::string& wanted) {
  const auto file = llamacpp::find_model(wanted, llamacpp::model_folder());
  if (!file) return {Verdict::kBad, "model", file.error().to_string()};
  const auto facts = llamacpp::check_gguf(file->path);
  if (!facts) return {Verdict::kBad, "model", facts.error().to_string()};
  return {Verdict::kGood, "model",
          fmt::format("{} is whole: {} ({}, {} tensors)", file->name, file->path, in_mebibytes(facts->file_bytes),
                      facts->tensors)};
}

Finding check_memory(const std::string& wanted_model, const flags::MemoryFlags& flags, std::uint32_t workers,
                     std::uint64_t available) {
  const auto file = llamacpp::find_model(wanted_model, llamacpp::model_folder());
  if (!file) {
    return {
        Verdict::kWarning, "memory",
        fmt::format("{} available; how much is needed shows once the model is found", in_whole_mebibytes(available))};
  }
  const auto facts = llamacpp::read_model_facts(file->path);
  if (!facts) return {Verdict::kBad, "memory", facts.error().to_string()};
  const auto plan = engine::plan_memory(*facts,
                                        {.kv_bytes = flags.kv_bytes,
                                         .store_bytes = flags.store_bytes,
                                         .context_tokens = flags.context_tokens,
                                         .allow_long_context = flags.allow_long_context,
                                         .sequences_max = flags.running_max,
                                         .weights = engine::weights_of(flags.numerics, flags.weights)},
                                        {.available = available, .engines = workers});
  if (!plan) return {Verdict::kBad, "memory", plan.error().to_string()};
  const std::string text = fmt::format(
      "{} available; {}: {}", in_whole_mebibytes(available),
      workers == 1 ? "a worker takes" : fmt::format("each of {} workers takes", workers), engine::describe(plan->need));
  if (!plan->shrunk) return {Verdict::kGood, "memory", text};
  return {Verdict::kWarning, "memory", text + "; with more free memory KV or block store would be larger"};
}

Finding check_cpu() {
  const std::string info = read_text("/proc/cpuinfo");
  std::string found;
  for (const char* set : {"avx512f", "avx2", "fma", "f16c", "avx", "asimd"}) {
    if (info.find(fmt::format(" {} ", set)) != std::string::npos) found += fmt::format(" {}", set);
  }
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const bool fast = found.find("avx2") != std::string::npos || found.find("asimd") != std::string::npos;
  if (fast) return {Verdict::kGood, "cpu", fmt::format("{} cores,{}", cores, found)};
  return {Verdict::kWarning, "cpu", fmt::format("{} cores without AVX2: the engine works, slowly", cores)};
}

Finding check_runtime_folder() {
  const std::string base = runtime_base_path();
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::path{base}.parent_path();
  if (std::filesystem::exists(base, error)) {
    const auto mode = std::filesystem::status(base, error).permissions();
    const bool open = (mode & (std::filesystem::perms::group_all | std::filesystem::perms::others_all)) !=
                      std::filesystem::perms::none;
    if (open) return {Verdict::kBad, "sockets", fmt::format("{} can be entered by others: chmod 700 {}", base, base)};
  } else if (::access(parent.c_str(), W_OK) != 0) {
    return {Verdict::kBad, "sockets",
            fmt::format("{} is not writable: set XDG_RUNTIME_DIR to a private folder", parent.string())};
  }
  return {Verdict::kGood, "sockets", fmt::format("{} can be used", base)};
}

Finding check_versions() {
  std::string engine = llamacpp::build_signature();
  engine.erase(engine.find_last_not_of(" |") + 1);
  return {Verdict::kGood, "versions", fmt::format("llmd {}; {}", LLMD_VERSION, engine)};
}

}  // namespace llmd::doctor
