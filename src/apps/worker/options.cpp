#include "apps/worker/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "net/address.h"
#include "simulation/hardware_profile.h"

namespace llmd::worker {
namespace {

const std::map<std::string, Role, std::less<>>& roles() {
  static const std::map<std::string, Role, std::less<>> all{
      {"unified", Role::kUnified}, {"prefill", Role::kPrefill}, {"decode", Role::kDecode}};
  return all;
}

/// Flags that say nothing to the other kind of engine.
struct EngineFlags {
  std::vector<CLI::Option*> llama;
  std::vector<CLI::Option*> simulated;
  std::string kv_events;
};

/// Names of a model and of what passes between workers mean the same to both kinds.
bool is_of_both(std::string_view flag) {
  return flag == "--served-model-name" || (flag.starts_with("--kv-") && flag != "--kv-memory");
}

void add_simulated_flags(CLI::App& app, Options& options, EngineFlags& flags) {
  flags.simulated = {
      app.add_option("--profile", options.profile, "Of a simulated engine: gpu, or a file as llmd sim takes it")
          ->default_str("gpu"),
      app.add_option("--sim-endpoints", options.sim_endpoints,
                     "Simulated endpoints in this process, on as many ports from that of --listen")
          ->check(CLI::Range(1U, 4'096U))
          ->capture_default_str(),
      app.add_option("--sim-output-tokens", options.sim_output_tokens,
                     "Tokens of a simulated answer whose request sets no limit")
          ->check(CLI::Range(1U, 1'000'000U))
          ->capture_default_str(),
      app.add_option("--kv-events-config", flags.kv_events,
                     "JSON as vLLM's: where what the prefix cache takes up and gives away is published"),
  };
}

void add_options(CLI::App& app, Options& options, EngineFlags& flags) {
  app.add_option_function<std::string>(
         "--engine",
         [&options](const std::string& name) {
           options.engine = name == "sim" ? EngineKind::kSimulated : EngineKind::kLlama;
         },
         "llama: llama.cpp; sim: no model, but the time that a --profile says")
      ->check(CLI::IsMember({"llama", "sim"}))
      ->default_str("llama");
  flags.llama.push_back(app.add_option("--model", options.model_path, "GGUF file to serve"));
  add_simulated_flags(app, options, flags);
  app.add_option_function<std::string>(
         "--role", [&options](const std::string& name) { options.role = roles().at(name); },
         "What routers use it for; prefill workers also keep blocks for others")
      ->check(CLI::IsMember({"unified", "prefill", "decode"}))
      ->default_str("unified");
  flags::add_address_flag(app, "--listen", options.listen, "HOST:PORT or unix:PATH; port 0 picks one")
      ->capture_default_str();
  flags.llama.push_back(
      app.add_option("--threads", options.threads, "Compute threads; 0: all cores")->check(CLI::Range(0U, 1'024U)));
  for (CLI::Option* option : flags::add_worker_flags(app, options)) {
    if (!is_of_both(option->get_name())) flags.llama.push_back(option);
  }
  flags::add_body_flag(app, options.body_bytes_max);
  flags::add_serving_flags(app, options);
  flags::add_log_flags(app, options.log);
  app.footer(flags::kServerKeyText);
}

Result<void> check_engine_flags(const Options& options, const EngineFlags& flags) {
  const bool simulated = options.engine == EngineKind::kSimulated;
  for (const CLI::Option* option : simulated ? flags.llama : flags.simulated) {
    if (option->count() == 0) continue;
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("{} is not of --engine {}", option->get_name(), simulated ? "sim" : "llama"),
                simulated ? "a simulated engine is what its --profile says" : "give --engine sim with it");
  }
  if (!simulated && options.model_path.empty())
    return fail(ErrorCode::kConfigInvalid, "--model is required", "give a GGUF file, or --engine sim");
  return {};
}

/// That each endpoint can have a place of its own, from `place` on.
Result<void> check_places(const Options& options, const std::string& place) {
  const auto last = kvevents::place_of(place, options.sim_endpoints - 1);
  if (last || place.empty()) return {};
  return std::unexpected(last.error());
}

Result<void> read_kv_events(Options& options, const EngineFlags& flags) {
  if (flags.kv_events.empty()) return {};
  LLMD_TRY(options.kv_events, kvevents::parse_publisher_options(flags.kv_events));
  LLMD_TRY_VOID(check_places(options, options.kv_events.endpoint));
  LLMD_TRY_VOID(check_places(options, options.kv_events.replay_endpoint));
  return kvevents::check_apart(options.kv_events, options.sim_endpoints);
}

Result<void> check_ports(const Options& options, std::string_view flag, const net::Address& first) {
  if (first.port == 0 || first.port + options.sim_endpoints <= 65'536) return {};
  return fail(ErrorCode::kConfigInvalid, fmt::format("{} {}: {} endpoints need ports beyond 65535", flag,
                                                     first.to_string(), options.sim_endpoints));
}

Result<void> check_listen(const Options& options) {
  if (options.sim_endpoints == 1) return {};
  LLMD_TRY(const net::Address first, net::Address::parse(options.listen));
  if (first.is_unix()) {
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("--listen {} is one place for {} endpoints", options.listen, options.sim_endpoints),
                "give HOST:PORT");
  }
  LLMD_TRY_VOID(check_ports(options, "--listen", first));
  if (options.kv.listen == "auto" || options.kv.listen == "none") return {};
  LLMD_TRY(const net::Address blocks, net::Address::parse(options.kv.listen));
  return check_ports(options, "--kv-listen", blocks);
}

Result<void> check_options(Options& options, const EngineFlags& flags) {
  LLMD_TRY_VOID(check_engine_flags(options, flags));
  LLMD_TRY_VOID(flags::check_worker_flags(options));
  LLMD_TRY_VOID(check_listen(options));
  return read_kv_events(options, flags);
}

}  // namespace

std::string_view role_name(Role role) noexcept {
  switch (role) {
    case Role::kUnified: return "unified";
    case Role::kPrefill: return "prefill";
    case Role::kDecode: return "decode";
  }
  return "unified";
}

CommandLine parse_command_line(int argc, const char* const* argv) {
  CLI::App app{"Serves one model: an engine behind an OpenAI API.", "llmd worker"};
  Options options;
  EngineFlags engine_flags;
  add_options(app, options, engine_flags);
  if (auto ending = flags::parse(app, argc, argv)) return {.options = {}, .ending = *std::move(ending)};
  if (const auto checked = check_options(options, engine_flags); !checked) {
    return {.options = {}, .ending = flags::refusal(app, checked.error())};
  }
  if (options.profile.empty()) options.profile = simulation::HardwareProfile{}.name;
  if (options.served_names.empty()) {
    const bool simulated = options.engine == EngineKind::kSimulated;
    options.served_names.push_back(
        std::filesystem::path{simulated ? options.profile : options.model_path}.stem().string());
  }
  options.api_key = flags::api_key();
  return {.options = std::move(options), .ending = {}};
}

}  // namespace llmd::worker
