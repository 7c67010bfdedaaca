#include "apps/sim/sim.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "apps/sim/calibrate.h"
#include "apps/sim/compare.h"
#include "apps/sim/forecast.h"
#include "apps/sim/report.h"
#include "apps/sim/sources.h"
#include "apps/sim/tune.h"
#include "config/default_config.h"
#include "config/effective_yaml.h"
#include "config/endpoint_picker_config.h"
#include "config/hardware_profile.h"
#include "flags/command_line.h"
#include "flags/shared_flags.h"

namespace llmd {
namespace sim {
namespace {

struct Options {
  std::vector<std::string> policies{"builtin"};
  std::string policy = "expected-latency";  // to forecast with
  std::string config_path;                  // to tune
  std::string out_path;
  std::uint32_t trials = 60;
  std::string profile = "gpu";
  std::string trace = "chat";
  std::string json_path;
  std::string html_path;
  std::uint64_t requests = 40'000;
  std::uint32_t scrape_ms = 50;
  std::uint32_t scrape_delay_ms = 5;
  CompareOptions compare{};
  CalibrateOptions calibrate{};
  std::uint32_t calibrate_s = 60;
  bool quiet = false;
  std::vector<double> loads{0.7};
};

int failed(const Error& error) {
  fmt::print(stderr, "llmd sim: {}\n", error.to_string());
  return 1;
}

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

/// Null without a path. Opened before anything is run, so that no run is in vain.
Result<File> open_file(const std::string& path, const char* mode = "we") {
  if (path.empty()) return File{};
  if (File file{std::fopen(path.c_str(), mode)}) return file;
  return fail(ErrorCode::kIo, fmt::format("{} cannot be written", path), "is there such a folder?");
}

/// What is there stays until there is something better, and what is not there is not left behind.
Result<void> check_writable(const std::string& path) {
  std::error_code error;
  const bool there = std::filesystem::exists(std::filesystem::symlink_status(path, error));
  LLMD_TRY_VOID(open_file(path, "ae"));
  if (!there) std::filesystem::remove(path, error);
  return {};
}

Result<void> write(std::FILE* file, std::string_view name, std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0) return {};
  return fail(ErrorCode::kIo, fmt::format("{} cannot be written", name), "is there room?");
}

Result<CompareOptions> compare_options(const Options& options) {
  CompareOptions compare = options.compare;
  if (compare.fleet.prefill_endpoints >= compare.fleet.endpoints) {
    return fail(ErrorCode::kInvalidRequest, fmt::format("--prefill is {} of {} endpoints: none is left to decode",
                                                        compare.fleet.prefill_endpoints, compare.fleet.endpoints));
  }
  if (compare.fleet.cores > 0 && compare.fleet.oracle_every > 0) {
    return fail(ErrorCode::kInvalidRequest, "--oracle-every knows of no shared cores",
                "leave out --cores or --oracle-every");
  }
  LLMD_TRY(compare.fleet.profile, config::find_hardware_profile(options.profile));
  compare.fleet.requests_max = options.requests;
  compare.fleet.scrape_interval = milliseconds{options.scrape_ms};
  compare.fleet.scrape_delay = milliseconds{options.scrape_delay_ms};
  return compare;
}

Result<void> show(const Comparison& comparison) {
  LLMD_TRY_VOID(write(stdout, "the output", table(comparison)));
  if (const std::string text = caution(comparison); !text.empty()) fmt::print(stderr, "llmd sim: {}\n", text);
  return {};
}

std::function<void(std::string_view)> progress_of(const Options& options) {
  return [quiet = options.quiet](std::string_view what) {
    if (!quiet) fmt::print(stderr, "{}\n", what);
  };
}

/// A fleet too small for what was recorded would make other choices, and nobody would see which.
Result<void> check_record(const std::vector<NamedPolicy>& policies, const NamedWorkload& workload,
                          const simulation::FleetOptions& fleet) {
  if (std::ranges::none_of(policies, &NamedPolicy::needs_record)) return {};
  if (workload.endpoints_named == 0) {
    return fail(ErrorCode::kInvalidRequest,
                fmt::format("policy recorded repeats what a gateway chose, and {} does not tell", workload.name),
                "record a log: llmd gateway --record FILE");
  }
  if (fleet.prefill_endpoints > 0) {
    return fail(ErrorCode::kInvalidRequest, "policy recorded repeats no prefill legs", "leave out --prefill");
  }
  if (workload.endpoints_named <= fleet.endpoints) return {};
  return fail(ErrorCode::kInvalidRequest,
              fmt::format("policy recorded needs the {} endpoints that {} names, and --endpoints is {}",
                          workload.endpoints_named, workload.name, fleet.endpoints),
              fmt::format("--endpoints {}", workload.endpoints_named));
}

Result<void> run_compare(const Options& options) {
  LLMD_TRY(CompareOptions compare_with, compare_options(options));
  LLMD_TRY(const std::vector<NamedPolicy> policies, find_policies(options.policies));
  LLMD_TRY(const NamedWorkload workload, find_workload(options.trace, options.requests));
  LLMD_TRY_VOID(check_record(policies, workload, compare_with.fleet));
  if (!options.json_path.empty() && options.json_path == options.html_path)
    return fail(ErrorCode::kInvalidRequest, "--json and --html name one file");
  LLMD_TRY(const File json_file, open_file(options.json_path));
  LLMD_TRY(const File html_file, open_file(options.html_path));
  std::vector<Comparison> comparisons;
  for (const double load : options.loads) {
    compare_with.load = load;
    LLMD_TRY(Comparison comparison, compare(workload, policies, compare_with, progress_of(options)));
    LLMD_TRY_VOID(show(comparison));
    comparisons.push_back(std::move(comparison));
  }
  if (json_file) {
    LLMD_TRY_VOID(write(json_file.get(), options.json_path, json(comparisons)));
  }
  if (html_file) {
    LLMD_TRY_VOID(write(html_file.get(), options.html_path, html(comparisons)));
  }
  return {};
}

Result<void> run_forecast(const Options& options) {
  LLMD_TRY(const CompareOptions compare_with, compare_options(options));
  LLMD_TRY(const std::vector<NamedPolicy> policies, find_policies({options.policy}));
  if (policies.size() != 1) return fail(ErrorCode::kInvalidRequest, "--policy names more than one");
  LLMD_TRY(const NamedWorkload workload, find_workload(options.trace, options.requests));
  LLMD_TRY_VOID(check_record(policies, workload, compare_with.fleet));
  LLMD_TRY(const File json_file, open_file(options.json_path));
  LLMD_TRY(const ForecastComparison comparison,
           compare_forecasts(workload, policies.front(), compare_with, progress_of(options)));
  LLMD_TRY_VOID(write(stdout, "the output", table(comparison)));
  return json_file ? write(json_file.get(), options.json_path, json(comparison)) : Result<void>{};
}

Result<config::EndpointPickerConfig> config_to_tune(const std::string& path) {
  if (path.empty()) return config::parse_endpoint_picker_config(config::llm_d_default_config(), "default");
  return config::load_endpoint_picker_config(path, {.allow_experimental = true});
}

Result<void> run_tune(const Options& options) {
  if (options.out_path.empty()) return fail(ErrorCode::kInvalidRequest, "--out names no file");
  LLMD_TRY(const CompareOptions compare_with, compare_options(options));
  LLMD_TRY(config::EndpointPickerConfig config, config_to_tune(options.config_path));
  LLMD_TRY(const NamedWorkload workload, find_workload(options.trace, options.requests));
  LLMD_TRY_VOID(check_writable(options.out_path));
  const auto progress = progress_of(options);
  LLMD_TRY(Tuned tuned, tune(config.scheduling, workload, {compare_with, options.trials}, progress));
  const std::vector<NamedPolicy> both{policy_of_config("before", config.scheduling),
                                      policy_of_config("tuned", tuned.config)};
  config.scheduling = std::move(tuned.config);
  const std::string head =
      fmt::format("# llmd sim tune on {}, seed {}: goodput {:.4f}, before {:.4f}, after {} trials\n", workload.name,
                  compare_with.fleet.seed, tuned.goodput, tuned.goodput_before, tuned.trials);
  LLMD_TRY(const File out, open_file(options.out_path, "we"));
  LLMD_TRY_VOID(write(out.get(), options.out_path, head + config::effective_yaml(config)));
  CompareOptions on_the_rest = compare_with;
  on_the_rest.warm_up = std::max(0.5, compare_with.warm_up);
  LLMD_TRY(const Comparison comparison, compare(workload, both, on_the_rest, progress));
  return show(comparison);
}

Result<void> run_calibrate(const Options& options) {
  LLMD_TRY_VOID(check_writable(options.out_path));
  CalibrateOptions calibrate_with = options.calibrate;
  calibrate_with.time = seconds{options.calibrate_s};
  calibrate_with.api_key = flags::api_key();
  LLMD_TRY(const Calibration calibration, calibrate(calibrate_with, progress_of(options)));
  LLMD_TRY(const std::string text, calibration_file(calibration));
  LLMD_TRY(const File out, open_file(options.out_path));
  LLMD_TRY_VOID(write(out.get(), options.out_path, text));
  return write(stdout, "the output", text);
}

/// Unlike CLI::Range, NaN is outside.
CLI::Validator between(double least, double most) {
  return {[least, most](std::string& text) -> std::string {
            double value = 0;
            if (CLI::detail::lexical_cast(text, value) && value >= least && value <= most) return {};
            return fmt::format("{} is not a number from {} to {}", text.substr(0, 64), least, most);
          },
          fmt::format("FLOAT in [{} - {}]", least, most)};
}

void add_fleet_flags(CLI::App& app, Options& options) {
  simulation::FleetOptions& fleet = options.compare.fleet;
  app.add_option("--trace", options.trace,
                 "chat, agents, shared-prefix, documents, tenants, uniform, bursty, or a file: Mooncake's trace or a "
                 "recorded log")
      ->capture_default_str();
  app.add_option("--profile", options.profile, "How fast and large an endpoint is: gpu, or a file")
      ->capture_default_str();
  app.add_option("--endpoints", fleet.endpoints, "Endpoints")->check(CLI::Range(1U, 1'024U))->capture_default_str();
  app.add_option("--cores", fleet.cores,
                 "Cores or GPUs of the one machine that all endpoints stand on, pinned in turn; 0: a machine each")
      ->check(CLI::Range(0U, 1'024U))
      ->capture_default_str();
  app.add_option("--prefill", fleet.prefill_endpoints, "Of these, how many only prefill, and the others only decode")
      ->check(CLI::Range(0U, 1'023U))
      ->capture_default_str();
  app.add_flag("--rebalance-roles", fleet.rebalance_roles, "They change their roles when the mix of work asks for it");
  app.add_option("--racks", fleet.racks, "Racks that the endpoints stand in, in turn")
      ->check(CLI::Range(1U, 1'024U))
      ->capture_default_str();
  app.add_option("--far-links", fleet.far_links, "How many times as slow KV goes between racks as within one")
      ->check(between(1.0, 1e4))
      ->capture_default_str();
  app.add_option("--requests", options.requests, "Requests to take of the workload; 0: all of a trace")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{10'000'000}))
      ->capture_default_str();
  app.add_option("--seed", fleet.seed, "Of the workload and the policy; with repetitions the first one's")
      ->capture_default_str();
  app.add_option("--scrape-interval", options.scrape_ms, "Milliseconds between two looks at the endpoints' metrics")
      ->check(CLI::Range(1U, 600'000U))
      ->capture_default_str();
  app.add_option("--scrape-delay", options.scrape_delay_ms, "Milliseconds until the policy sees what was read")
      ->check(CLI::Range(0U, 600'000U))
      ->capture_default_str();
  app.add_flag("--quiet", options.quiet, "No progress on stderr");
}

void add_measuring_flags(CLI::App& app, Options& options) {
  app.add_option("--seeds", options.compare.seeds, "Repetitions, for confidence intervals")
      ->check(CLI::Range(1U, 1'000U))
      ->capture_default_str();
  app.add_option("--warm-up", options.compare.warm_up, "Share of the time that is not measured")
      ->check(between(0.0, 0.95))
      ->capture_default_str();
  app.add_option("--slo-ttft", options.compare.objectives.ttft_ms, "Milliseconds, of requests without an objective")
      ->check(between(1.0, 1e7))
      ->capture_default_str();
  app.add_option("--slo-tpot", options.compare.objectives.tpot_ms, "Milliseconds, of requests without an objective")
      ->check(between(0.1, 1e6))
      ->capture_default_str();
}

constexpr const char* kLoadHelp = "1: as much as endpoints without any cache can do; 0: as recorded";

void add_forecast_flags(CLI::App& app, Options& options) {
  app.add_option("--load", options.compare.load, kLoadHelp)->check(between(0.0, 10.0))->capture_default_str();
  app.add_option("--policy", options.policy, "A policy's name, or an EndpointPickerConfig file")->capture_default_str();
  app.add_option("--json", options.json_path, "File for the figures");
}

void add_compare_flags(CLI::App& app, Options& options) {
  app.add_option("--load", options.loads, fmt::format("{}. Several with commas: one after the other", kLoadHelp))
      ->delimiter(',')
      ->check(between(0.0, 10.0))
      ->capture_default_str();
  app.add_option("--policies", options.policies,
                 "builtin, or names, recorded, and EndpointPickerConfig files, with commas")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--json", options.json_path, "File for the figures");
  app.add_option("--html", options.html_path, "File for a page with tables and plots");
  app.add_option("--oracle-every", options.compare.fleet.oracle_every,
                 "Hold one in so many decisions against the endpoint with the least time to the first token; 0: none")
      ->check(CLI::Range(0U, 1'000'000'000U))
      ->capture_default_str();
}

void add_tune_flags(CLI::App& app, Options& options) {
  app.add_option("--load", options.compare.load, kLoadHelp)->check(between(0.0, 10.0))->capture_default_str();
  app.add_option("--config", options.config_path, "EndpointPickerConfig file; without it llm-d's default");
  app.add_option("--out", options.out_path, "File for the configuration with the weights that were found")->required();
  app.add_option("--trials", options.trials, "Runs that the search may take, for each seed")
      ->check(CLI::Range(1U, 100'000U))
      ->capture_default_str();
}

void add_calibrate_flags(CLI::App& app, Options& options) {
  app.add_option("url", options.calibrate.url, "HOST:PORT, http://HOST:PORT or unix:PATH of an idle endpoint")
      ->required();
  app.add_option("--out", options.out_path, "File for the profile")->required();
  app.add_option("--model", options.calibrate.model, "Model to ask; the first that the endpoint lists");
  app.add_option("--neighbour", options.calibrate.neighbours,
                 "One pinned to another core of its machine, to be kept busy meanwhile; once for each other core")
      ->allow_extra_args(false);
  app.add_option("--sharing", options.calibrate.sharing,
                 "One pinned to its own core, to be kept busy meanwhile; once for each that shares it")
      ->allow_extra_args(false);
  app.add_option("--seconds", options.calibrate_s, "Time to measure")
      ->check(CLI::Range(5U, 3'600U))
      ->capture_default_str();
  app.add_flag("--quiet", options.quiet, "No progress on stderr");
}

}  // namespace
}  // namespace sim

int sim_main(int argc, char** argv) {
  sim::Options options;
  options.compare.fleet.endpoints = 16;
  CLI::App app{"The digital twin: a fleet in virtual time around the scheduler that ships.", "llmd sim"};
  app.require_subcommand(1);
  CLI::App& compare = *app.add_subcommand("compare", "Run policies on the same requests and compare what they got");
  CLI::App& tune = *app.add_subcommand("tune", "Search a configuration's weights on the first half of a workload");
  CLI::App& forecast = *app.add_subcommand("forecast", "Compare forecasts of each endpoint's load with what came");
  for (CLI::App* each : {&compare, &tune, &forecast}) sim::add_fleet_flags(*each, options);
  for (CLI::App* each : {&compare, &tune}) sim::add_measuring_flags(*each, options);
  sim::add_forecast_flags(forecast, options);
  sim::add_compare_flags(compare, options);
  sim::add_tune_flags(tune, options);
  CLI::App& calibrate = *app.add_subcommand("calibrate", "Fit a hardware profile to a live endpoint");
  sim::add_calibrate_flags(calibrate, options);
  if (const auto ending = flags::parse(app, argc, argv)) return flags::end(*ending);
  const auto run = calibrate.parsed()  ? sim::run_calibrate
                   : tune.parsed()     ? sim::run_tune
                   : forecast.parsed() ? sim::run_forecast
                                       : sim::run_compare;
  const auto ran = run(options);
  return ran ? 0 : sim::failed(ran.error());
}

}  // namespace llmd
