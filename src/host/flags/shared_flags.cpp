#include "flags/shared_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>

#include "net/address.h"

namespace llmd::flags {
namespace {

/// A flag whose value is converted by `set` once it was checked.
template <class Value, class Set>
CLI::Option* add_converted(CLI::App& app, const std::string& name, const std::string& shown, const std::string& text,
                           Set set) {
  return app.add_option_function<Value>(name, [set](const Value& value) { set(value); }, text)->default_str(shown);
}

CLI::Option* add_count(CLI::App& app, const std::string& name, Bounds bounds, std::int64_t shown,
                       const std::string& text, std::function<void(std::uint32_t)> set) {
  return add_converted<std::uint32_t>(app, name, std::to_string(shown), text, std::move(set))
      ->check(CLI::Range(bounds.min, bounds.max));
}

}  // namespace

void add_log_flags(CLI::App& app, LogFlags& flags) {
  add_converted<std::string>(app, "--log-level", "info", "What is logged; no level logs prompts or keys",
                             [&flags](const std::string& name) { flags.level = log::level_from_name(name); })
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  add_converted<std::string>(app, "--log-format", "auto", "auto: text on a terminal, JSON otherwise",
                             [&flags](const std::string& name) { flags.format = log::format_from_name(name); })
      ->check(CLI::IsMember({"auto", "text", "json"}));
}

void add_serving_flags(CLI::App& app, ServingFlags& flags) {
  add_seconds(app, "--request-timeout", flags.request_timeout, {1, 86'400}, "Seconds that one request may take");
  add_seconds(app, "--drain-timeout", flags.drain_timeout, {0, 3'600}, "Seconds for running requests after SIGTERM");
}

void add_body_flag(CLI::App& app, std::size_t& bytes_max) {
  as_bytes(app.add_option("--max-body", bytes_max, "Longest request body, at most 16MiB"))
      ->default_str("16MiB")
      ->check(CLI::Range(std::size_t{1'024}, kBodyBytesMax));
}

CLI::Option* add_address_flag(CLI::App& app, const std::string& name, std::string& address, const std::string& text) {
  const CLI::Validator readable{[](std::string& value) {
                                  const auto parsed = net::Address::parse(value);
                                  return parsed ? std::string{} : parsed.error().what;
                                },
                                "", "address"};
  return app.add_option(name, address, text)->check(readable);
}

CLI::Option* add_model_flag(CLI::App& app, std::string& model) {
  return app.add_option("--model", model,
                        "GGUF file, or the name of one that was fetched (default: SmolLM2-135M-Instruct)");
}

CLI::Option* add_seconds(CLI::App& app, const std::string& name, std::chrono::milliseconds& value, Bounds bounds,
                         const std::string& text) {
  const auto shown = std::chrono::duration_cast<std::chrono::seconds>(value).count();
  return add_count(app, name, bounds, shown, text,
                   [&value](std::uint32_t seconds) { value = std::chrono::seconds{seconds}; });
}

CLI::Option* add_milliseconds(CLI::App& app, const std::string& name, std::chrono::milliseconds& value, Bounds bounds,
                              const std::string& text) {
  return add_count(app, name, bounds, value.count(), text,
                   [&value](std::uint32_t milliseconds) { value = std::chrono::milliseconds{milliseconds}; });
}

CLI::Option* as_bytes(CLI::Option* option) {
  CLI::Validator size = CLI::AsSizeValue(/*kb_is_1000=*/false);
  size.description("SIZE");
  const CLI::Validator not_negative{
      [](std::string& value) { return value.starts_with('-') ? fmt::format("{} is negative", value) : std::string{}; },
      "", "not negative"};
  // CLI11 runs what was added last first.
  return option->transform(size)->transform(not_negative);
}

CLI::Option* in_range(CLI::Option* option, double min, double max) {
  const CLI::Validator number{[](std::string& value) {
                                double parsed = 0;
                                const bool is_number =
                                    CLI::detail::lexical_cast(value, parsed) && std::isfinite(parsed);
                                return is_number ? std::string{} : fmt::format("{} is not a number", value);
                              },
                              "", "number"};
  return option->check(CLI::Range(min, max))->check(number);
}

std::string api_key() {
  const char* key = std::getenv("LLMD_API_KEY");
  return key != nullptr ? key : "";
}

}  // namespace llmd::flags
