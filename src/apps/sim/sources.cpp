#include "apps/sim/sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string_view>
#include <utility>

#include "config/endpoint_picker_config.h"
#include "scheduling/nearest_name.h"
#include "simulation/policies/llmd_policy.h"
#include "simulation/policies/make_policy.h"
#include "simulation/policies/recorded_policy.h"
#include "simulation/workloads/catalog.h"
#include "simulation/workloads/mooncake_trace.h"
#include "simulation/workloads/recorded_log.h"

namespace llmd::sim {
namespace {

constexpr std::string_view kRecorded = "recorded";  // not among the built-in ones: it needs a recorded log
constexpr double kNativeRate = 10;                  // requests a second; the load asked for stretches it
constexpr std::uintmax_t kTraceBytesMax = std::uintmax_t{1} << 30;
constexpr std::size_t kBlocksMax = 50'000'000;  // of all rows

/// A name for people, from a path: without what a terminal or JSON would take amiss.
std::string name_of(const std::string& path) {
  std::string name = std::filesystem::path{path}.stem().string();
  std::ranges::replace_if(name, [](char c) { return c < ' ' || c > '~'; }, '?');
  return name;
}

Result<NamedPolicy> policy_of_file(const std::string& path) {
  LLMD_TRY(const config::EndpointPickerConfig config,
           config::load_endpoint_picker_config(path, {.allow_experimental = true}));
  NamedPolicy policy = policy_of_config(name_of(path), config.scheduling);
  if (!config.flow.enabled) return policy;
  LLMD_TRY_VOID(simulation::FlowControl::make(config.flow, config.scheduling));
  policy.make_flow = [flow = config.flow, scheduling = config.scheduling] {
    return std::move(simulation::FlowControl::make(flow, scheduling)).value();  // it was checked
  };
  return policy;
}

NamedPolicy built_in(std::string_view name) {
  return {std::string{name},
          [name = std::string{name}](std::uint64_t seed) { return simulation::make_policy(name, seed); },
          {}};
}

template <class Names>
Error unknown(std::string_view what, std::string_view name, const Names& names) {
  const std::vector<std::string_view> known(names.begin(), names.end());
  return {.code = ErrorCode::kInvalidRequest,
          .what = fmt::format("there is no {} \"{}\", and no such file", what, name.substr(0, 128)),
          .hint = scheduling::nearest_name_hint(name, known)};
}

/// Pre: a file of bounded size. `rows_max` 0: all. `parse` makes one row of a line, `blocks_of` says how many blocks it
/// has.
template <class Row>
Result<std::vector<Row>> read_rows(const std::string& path, std::uint64_t rows_max,
                                   Result<Row> (*parse)(std::string_view), std::size_t (*blocks_of)(const Row&)) {
  std::ifstream file{path};
  if (!file) return fail(ErrorCode::kFileNotFound, fmt::format("{} cannot be read", path));
  std::vector<Row> rows;
  std::size_t blocks = 0;
  std::string line;
  for (std::size_t number = 1; (rows_max == 0 || rows.size() < rows_max) && std::getline(file, line); ++number) {
    if (line.empty()) continue;
    auto row = parse(line);
    if (!row)
      return fail(ErrorCode::kFileInvalid, fmt::format("{}:{}: {}", path, number, row.error().what), row.error().hint);
    blocks += blocks_of(*row);
    if (blocks > kBlocksMax) {
      return fail(ErrorCode::kFileInvalid, fmt::format("{}:{}: more than {} blocks", path, number, kBlocksMax),
                  "take fewer --requests");
    }
    rows.push_back(*std::move(row));
  }
  if (file.bad()) return fail(ErrorCode::kIo, fmt::format("{} cannot be read to its end", path));
  return rows;
}

/// By the first line that is not empty. Pre: a file of bounded size.
bool looks_recorded(const std::string& path) {
  std::ifstream file{path};
  std::string line;
  while (line.empty() && std::getline(file, line)) {
  }
  return simulation::looks_recorded(line);
}

Result<NamedWorkload> mooncake_trace(const std::string& path, std::uint64_t requests) {
  using Row = simulation::MooncakeRow;
  LLMD_TRY(auto read, read_rows<Row>(path, requests, simulation::parse_mooncake_row,
                                     [](const Row& row) { return row.hash_ids.size(); }));
  const auto rows = std::make_shared<const std::vector<Row>>(std::move(read));
  if (const auto made = simulation::MooncakeTrace::make(rows); !made)
    return fail(made.error().code, fmt::format("{}: {}", path, made.error().what));
  return NamedWorkload{.name = name_of(path),
                       .make = [rows](std::uint64_t /*seed*/) -> std::unique_ptr<simulation::Workload> {
                         return std::move(simulation::MooncakeTrace::make(rows)).value();  // checked above
                       },
                       .same_for_each_seed = true};
}

Result<NamedWorkload> recorded_log(const std::string& path, std::uint64_t requests) {
  using Row = simulation::RecordedRow;
  LLMD_TRY(auto read, read_rows<Row>(path, requests, simulation::parse_recorded_row,
                                     [](const Row& row) { return row.block_ids.size(); }));
  auto rows = simulation::RecordedLog::in_order(std::move(read));
  if (!rows) return fail(rows.error().code, fmt::format("{}: {}", path, rows.error().what), rows.error().hint);
  const std::size_t endpoints = simulation::RecordedLog{*rows}.endpoints().size();
  return NamedWorkload{.name = name_of(path),
                       .make = [rows = *std::move(rows)](
                                   std::uint64_t /*seed*/) { return std::make_unique<simulation::RecordedLog>(rows); },
                       .same_for_each_seed = true,
                       .endpoints_named = endpoints};
}

}  // namespace

NamedPolicy policy_of_config(std::string name, scheduling::SchedulingConfig config) {
  const bool precise = std::ranges::any_of(config.plugins, [](const scheduling::PluginInstance& plugin) {
    return plugin.type == "precise-prefix-cache-producer" || plugin.type == "precise-prefix-cache-scorer";
  });
  return {std::move(name),
          [config = std::move(config), precise](std::uint64_t seed) -> std::unique_ptr<simulation::Policy> {
            return std::move(simulation::LlmdPolicy::make(config, {.seed = seed, .precise = precise}))
                .value();  // it was checked
          },
          {}};
}

Result<std::vector<NamedPolicy>> find_policies(const std::vector<std::string>& names) {
  std::vector<NamedPolicy> policies;
  const auto& known = simulation::policy_names();
  for (const std::string& name : names) {
    if (name == "builtin") {
      for (const std::string_view each : known) policies.push_back(built_in(each));
    } else if (name == kRecorded) {
      policies.push_back({.name = name,
                          .make = [](std::uint64_t) { return std::make_unique<simulation::RecordedPolicy>(); },
                          .needs_record = true});
    } else if (std::ranges::find(known, name) != known.end()) {
      policies.push_back(built_in(name));
    } else if (std::filesystem::exists(name)) {
      LLMD_TRY(NamedPolicy policy, policy_of_file(name));
      policies.push_back(std::move(policy));
    } else {
      std::vector<std::string_view> all{known.begin(), known.end()};
      all.push_back(kRecorded);
      return std::unexpected(unknown("policy", name, all));
    }
  }
  return policies;
}

Result<NamedWorkload> find_workload(const std::string& trace, std::uint64_t requests) {
  const auto& known = simulation::workload_names();
  if (std::ranges::find(known, trace) != known.end()) {
    if (requests == 0)
      return fail(ErrorCode::kInvalidRequest, fmt::format("workload {} has no end: --requests must be above 0", trace));
    return NamedWorkload{trace, [trace, requests](std::uint64_t seed) {
                           return simulation::make_workload(
                               trace, {.requests = requests, .rate_per_s = kNativeRate, .seed = seed});
                         }};
  }
  if (!std::filesystem::exists(trace)) return std::unexpected(unknown("workload", trace, known));
  std::error_code error;
  if (!std::filesystem::is_regular_file(trace, error) || std::filesystem::file_size(trace, error) > kTraceBytesMax)
    return fail(ErrorCode::kFileInvalid, fmt::format("{} is not a file of at most 1 GiB", trace));
  return looks_recorded(trace) ? recorded_log(trace, requests) : mooncake_trace(trace, requests);
}

}  // namespace llmd::sim
