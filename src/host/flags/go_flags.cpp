#include "flags/go_flags.h"

#include <fmt/format.h>

#include "config/quantity.h"
#include "scheduling/plugin_spec.h"

namespace llmd::flags {

void add_go_duration(CLI::App& app, const std::string& name, std::chrono::milliseconds& value, const std::string& shown,
                     const std::string& text) {
  const CLI::Validator readable{[](std::string& given) {
                                  return scheduling::parse_go_duration(given)
                                             ? std::string{}
                                             : fmt::format("\"{}\" is no duration such as 50ms or 1m30s", given);
                                },
                                "", "duration"};
  app.add_option_function<std::string>(
         name, [&value](const std::string& given) { value = *scheduling::parse_go_duration(given); }, text)
      ->default_str(shown)
      ->check(readable);
}

void add_quantity(CLI::App& app, const std::string& name, std::size_t& value, const std::string& shown,
                  const std::string& text, bool takes_empty) {
  const CLI::Validator readable{[takes_empty](std::string& given) {
                                  const auto parsed = config::parse_quantity(given);
                                  return (takes_empty && given.empty()) || (parsed && *parsed > 0)
                                             ? std::string{}
                                             : fmt::format("\"{}\" is no quantity such as 4Mi", given);
                                },
                                "", "quantity"};
  app.add_option_function<std::string>(
         name,
         [&value](const std::string& given) {
           if (!given.empty()) value = static_cast<std::size_t>(*config::parse_quantity(given));
         },
         text)
      ->default_str(shown)
      ->check(readable);
}

void add_switch(CLI::App& app, const std::string& name, bool& value, const std::string& text) {
  app.add_flag(name, value, fmt::format("{} ({})", text, value ? "on by default" : "off"));
}

void add_zap_encoder(CLI::App& app, log::Format& format) {
  app.add_option_function<std::string>(
         "--zap-encoder",
         [&format](const std::string& name) { format = name == "console" ? log::Format::kText : log::Format::kJson; },
         "json or console")
      ->check(CLI::IsMember({"json", "console"}));
}

}  // namespace llmd::flags
