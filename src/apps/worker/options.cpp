#include "apps/worker/options.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <utility>

namespace llmd::worker {
namespace {

const std::map<std::string, Role, std::less<>>& roles() {
  static const std::map<std::string, Role, std::less<>> all{
      {"unified", Role::kUnified}, {"prefill", Role::kPrefill}, {"decode", Role::kDecode}};
  return all;
}

void add_options(CLI::App& app, Options& options) {
  app.add_option("--model", options.model_path, "GGUF file to serve")->required();
  app.add_option_function<std::string>(
         "--role", [&options](const std::string& name) { options.role = roles().at(name); },
         "What routers use it for; prefill workers also keep blocks for others")
      ->check(CLI::IsMember({"unified", "prefill", "decode"}))
      ->default_str("unified");
  flags::add_address_flag(app, "--listen", options.listen, "HOST:PORT or unix:PATH; port 0 picks one")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Compute threads; 0: all cores")->check(CLI::Range(0U, 1'024U));
  flags::add_worker_flags(app, options);
  flags::add_body_flag(app, options.body_bytes_max);
  flags::add_serving_flags(app, options);
  flags::add_log_flags(app, options.log);
  app.footer(flags::kServerKeyText);
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
  add_options(app, options);
  if (auto ending = flags::parse(app, argc, argv)) return {.options = {}, .ending = *std::move(ending)};
  if (const auto checked = flags::check_worker_flags(options); !checked) {
    return {.options = {}, .ending = flags::refusal(app, checked.error())};
  }
  if (options.served_names.empty()) {
    options.served_names.push_back(std::filesystem::path{options.model_path}.stem().string());
  }
  options.api_key = flags::api_key();
  return {.options = std::move(options), .ending = {}};
}

}  // namespace llmd::worker
