#include "apps/up/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "net/address.h"

namespace llmd::up {
namespace {

constexpr std::chrono::milliseconds kProbeInterval{200};

/// What CLI11 fills beside the options.
struct Raw {
  Options options;
  std::string topology = "unified:1";
  std::string tokenize = "gateway";
  std::vector<CLI::Option*> handed_on;
};

void add_flags(CLI::App& app, Raw& raw) {
  Options& options = raw.options;
  flags::add_model_flag(app, options.model);
  app.add_option("--topology", raw.topology, "Workers by role, as unified:2 or prefill:1,decode:1")
      ->capture_default_str();
  app.add_option("--models", options.models_path, "File of several models, with workers for each")
      ->excludes("--model")
      ->excludes("--topology");
  app.add_option("--threads", options.threads, "Compute threads of each worker; 0: cores divided by workers")
      ->check(CLI::Range(0U, 1'024U));
  app.add_option("--tokenize", raw.tokenize, "Who tokenises prompts")
      ->check(CLI::IsMember({"gateway", "worker"}))
      ->capture_default_str();
  gateway::add_front_flags(app, options.gateway);
  raw.handed_on = flags::add_worker_flags(app, options.worker);
  for (CLI::Option* option : raw.handed_on) option->group("Options of each worker");
  // Memory is handed on as shares of what the machine has.
  std::erase_if(raw.handed_on, [](const CLI::Option* option) {
    return option->check_lname("kv-memory") || option->check_lname("store-memory") || option->check_lname("weights");
  });
  for (const char* name : {"--request-timeout", "--drain-timeout", "--log-level"}) {
    raw.handed_on.push_back(app.get_option(name));
  }
}

/// Each worker binds the same place.
Result<void> check_kv_listen(const Options& options) {
  const std::string& text = options.worker.kv.listen;
  const auto address = net::Address::parse(text);
  const bool taken_once = address && (address->is_unix() || address->port != 0);
  if (!taken_once || (options.topology.workers() == 1 && options.models_path.empty())) return {};
  return fail(ErrorCode::kConfigInvalid,
              fmt::format("--kv-listen {}: {} workers cannot share it", text, options.topology.workers()),
              "take port 0, or auto");
}

Result<void> finish(Raw& raw) {
  Options& options = raw.options;
  LLMD_TRY(options.topology, flags::parse_topology(raw.topology));
  LLMD_TRY_VOID(gateway::check_front_flags(options.gateway));
  LLMD_TRY_VOID(flags::check_worker_flags(options.worker));
  LLMD_TRY_VOID(check_kv_listen(options));
  if (!options.models_path.empty() && !options.worker.served_names.empty())
    return fail(ErrorCode::kConfigInvalid, "--served-model-name names one model, and --models several",
                "the names stand in the file");
  options.tokenize_in_gateway = raw.tokenize == "gateway";
  options.worker_args = flags::given_arguments(raw.handed_on);
  gateway::Options& gateway = options.gateway;
  gateway.probe_interval = kProbeInterval;
  gateway.probe_backoff_max = kProbeInterval;
  gateway.merge_worker_metrics = true;
  gateway.loops = 1;  // the workers want the cores
  gateway.api_key = flags::api_key();
  return {};
}

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
  CLI::App app{"Serves a model on this machine: gateway, scheduler and workers.", "llmd up"};
  Raw raw;
  add_flags(app, raw);
  if (auto ending = flags::parse(app, argc, argv)) return {.options = {}, .ending = *std::move(ending)};
  if (const auto finished = finish(raw); !finished) {
    return {.options = {}, .ending = flags::refusal(app, finished.error())};
  }
  return {.options = std::move(raw.options), .ending = {}};
}

}  // namespace llmd::up
