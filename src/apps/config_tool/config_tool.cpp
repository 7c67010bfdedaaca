#include "apps/config_tool/config_tool.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "apps/config_tool/line_diff.h"
#include "apps/config_tool/running_server.h"
#include "config/effective_yaml.h"
#include "config/endpoint_picker_config.h"
#include "config/plugin_reference.h"
#include "flags/command_line.h"
#include "flags/shared_flags.h"

namespace llmd {
namespace config {
namespace {

struct Options {
  std::string file;
  std::string before;
  std::string after;
  std::string admin;
  std::string action = "show";
  std::uint64_t version = 0;
  bool allow_experimental = false;
  bool versions = false;
  bool as_written = false;
};

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

int failed(const Error& error) {
  fmt::print(stderr, "llmd config: {}\n", error.to_string());
  return 1;
}

Result<EndpointPickerConfig> load(const std::string& file, const Options& options) {
  return load_endpoint_picker_config(file, {.allow_experimental = options.allow_experimental});
}

int validate(const Options& options) {
  const auto config = load(options.file, options);
  if (!config) return failed(config.error());
  for (const std::string& warning : config->warnings) fmt::print(stderr, "warning: {}\n", warning);
  for (const std::string& waits : config->waits)
    fmt::print(stderr, "warning: {}: a server of this version would refuse to start\n", waits);
  fmt::print("{}: valid; {} plugins, {} profiles\n", options.file, config->scheduling.plugins.size(),
             config->scheduling.profiles.size());
  return 0;
}

Result<std::string> effective_of_file(const std::string& file, const Options& options) {
  LLMD_TRY(const EndpointPickerConfig config, load(file, options));
  return effective_yaml(config);
}

Result<std::string> shown(const Options& options) {
  if (!options.file.empty()) return effective_of_file(options.file, options);
  LLMD_TRY(const RunningServer server, RunningServer::find(options.admin));
  if (options.versions) return server.versions();
  LLMD_TRY(const RunningConfig running, server.config(options.version));
  if (options.as_written) return running.text;
  return fmt::format("# version {}, {}\n{}", running.version, running.source, running.effective);
}

int show(const Options& options) {
  const auto text = shown(options);
  if (!text) return failed(text.error());
  print(*text);
  return 0;
}

/// A side of a comparison: the number of a version of the running server, or a file.
Result<std::string> side(const std::string& name, const Options& options) {
  std::uint64_t version = 0;
  const auto [rest, status] = std::from_chars(name.data(), name.data() + name.size(), version);
  const bool is_number = !name.empty() && status == std::errc{} && rest == name.data() + name.size();
  if (!name.empty() && !is_number) return effective_of_file(name, options);
  LLMD_TRY(const RunningServer server, RunningServer::find(options.admin));
  LLMD_TRY(RunningConfig running, server.config(version));
  return std::move(running.effective);
}

int diff(const Options& options) {
  // One side: the running configuration against it.
  const bool one = options.after.empty();
  const auto before = side(one ? std::string{} : options.before, options);
  if (!before) return failed(before.error());
  const auto after = side(one ? options.before : options.after, options);
  if (!after) return failed(after.error());
  print(line_diff(*before, *after));
  return *before == *after ? 0 : 1;
}

int roll_back(const Options& options) {
  const auto server = RunningServer::find(options.admin);
  if (!server) return failed(server.error());
  const auto made = server->roll_back(options.version);
  if (!made) return failed(made.error());
  fmt::print("version {} is in force again, as version {}\n", options.version, *made);
  return 0;
}

int weights(const std::string& action, const Options& options) {
  const auto server = RunningServer::find(options.admin);
  if (!server) return failed(server.error());
  const auto text = server->weights(action == "show" ? "" : action);
  if (!text) return failed(text.error());
  print(*text);
  return 0;
}

int docs() {
  print(plugin_reference());
  return 0;
}

void add_experimental(CLI::App& app, Options& options) {
  app.add_flag("--allow-experimental-plugins", options.allow_experimental,
               "Take plugin types that are marked experimental");
}

void add_admin(CLI::App& app, Options& options) {
  flags::add_address_flag(app, "--admin", options.admin,
                          "unix:PATH of the control socket (default: the newest of this user's gateways)");
}

}  // namespace
}  // namespace config

int config_main(int argc, char** argv) {
  config::Options options;
  CLI::App app{"Validates, shows, compares and rolls back EndpointPickerConfigs.", "llmd config"};
  app.require_subcommand(1);
  CLI::App& validate = *app.add_subcommand("validate", "Check a file; exit code 0 or 1");
  validate.add_option("FILE", options.file, "The file")->required();
  config::add_experimental(validate, options);
  CLI::App& show = *app.add_subcommand("show", "Print a configuration with its defaults");
  show.add_option("FILE", options.file, "A file (default: what a running gateway uses)");
  show.add_option("--version", options.version, "That version of the running gateway (default: the one in force)");
  show.add_flag("--versions", options.versions, "The versions that the running gateway keeps");
  show.add_flag("--as-written", options.as_written, "The text as the running gateway read it");
  config::add_experimental(show, options);
  config::add_admin(show, options);
  CLI::App& diff = *app.add_subcommand("diff", "Compare two configurations; exit code 1 if they differ");
  diff.add_option("A", options.before, "A file, or a version of the running gateway")->required();
  diff.add_option("B", options.after, "The same (default: A is compared with what the running gateway uses)");
  config::add_experimental(diff, options);
  config::add_admin(diff, options);
  CLI::App& rollback = *app.add_subcommand("rollback", "Put an older version in force again");
  rollback.add_option("VERSION", options.version, "As llmd config show --versions lists it")
      ->required()
      ->check(CLI::PositiveNumber);
  config::add_admin(rollback, options);
  CLI::App& weights = *app.add_subcommand("weights", "The weights that a running gateway learns");
  weights.add_option("ACTION", options.action, "show; freeze: they stay as they are; unfreeze; reset: forget all")
      ->check(CLI::IsMember({"show", "freeze", "unfreeze", "reset"}));
  config::add_admin(weights, options);
  CLI::App& docs = *app.add_subcommand("docs", "Print the reference of all plugin types (docs/plugins.md)");
  if (const auto ending = flags::parse(app, argc, argv)) return flags::end(*ending);
  if (validate.parsed()) return config::validate(options);
  if (show.parsed()) return config::show(options);
  if (diff.parsed()) return config::diff(options);
  if (weights.parsed()) return config::weights(options.action, options);
  if (rollback.parsed()) return config::roll_back(options);
  return docs.parsed() ? config::docs() : 2;
}

}  // namespace llmd
