#include "flags/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

namespace llmd::flags {
namespace {

/// CLI11 would print "UINT:SIZE:UINT in [1024 - 16777216]" where SIZE says it.
class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    std::string type = option->get_type_name();
    if (type.empty() || option->get_type_size() == 0) return {};
    if (type.find("SIZE") != std::string::npos) type = "SIZE";
    if (const std::size_t range = type.find(" in ["); range != std::string::npos) type = "N" + type.substr(range);
    if (const std::size_t choice = type.find('{'); choice != std::string::npos) type.erase(0, choice);
    std::string text = " " + type;
    if (!option->get_default_str().empty()) text += "=" + option->get_default_str();
    if (option->get_expected_max() == CLI::detail::expected_max_vector_size) text += " ...";
    if (option->get_required()) text += " REQUIRED";
    return text;
  }
};

/// CLI11 separates what is wrong with several values by line breaks.
std::string one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

std::optional<Ending> parse(CLI::App& app, int argc, const char* const* argv) {
  app.formatter(std::make_shared<HelpFormatter>());
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return Ending{.exit_code = 0, .text = app.help()};
  } catch (const CLI::ParseError& error) {
    return refusal(app, one_line(error.what()));
  }
  return std::nullopt;
}

Ending refusal(const CLI::App& app, std::string_view problem) {
  return {.exit_code = kUsageExit, .text = fmt::format("{0}: {1} (see {0} --help)\n", app.get_name(), problem)};
}

Ending refusal(const CLI::App& app, const Error& error) {
  return refusal(app, error.hint.empty() ? error.what : fmt::format("{}; {}", error.what, error.hint));
}

int end(const Ending& ending) {
  fmt::print(ending.exit_code == 0 ? stdout : stderr, "{}", ending.text);
  return ending.exit_code;
}

}  // namespace llmd::flags
