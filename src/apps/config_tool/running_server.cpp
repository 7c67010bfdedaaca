#include "apps/config_tool/running_server.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "net/fetch.h"
#include "runtime/runtime_directory.h"

namespace llmd::config {
namespace {

using Json = nlohmann::json;

Result<Json> parse(const std::string& text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) return json;
  return fail(ErrorCode::kUpstreamFailed, "the server's answer is no JSON object", "is it an older llmd?");
}

/// The text of an error in OpenAI's shape.
std::string message_of(const std::string& body) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  const auto error = json.is_object() ? json.find("error") : json.end();
  if (error == json.end() || !error->is_object()) return "the server refused";
  return error->value("message", std::string{"the server refused"});
}

/// Weights of one arm, each with the scorer's name.
std::string weights_line(const Json& scorers, const Json& weights) {
  std::string line;
  for (std::size_t s = 0; s < scorers.size() && s < weights.size(); ++s) {
    if (!scorers[s].is_object() || !weights[s].is_number()) continue;
    line += fmt::format("  {} {:.3g} (configured {:.3g})", scorers[s].value("scorer", std::string{}),
                        weights[s].get<double>(), scorers[s].value("configured", 0.0));
  }
  return line;
}

/// Whether learned weights serve at all now, and why not.
std::string guard_text(const Json& json) {
  if (json.value("frozen", false)) return {};  // then nothing is compared
  std::string text = fmt::format("{}: {}", json.value("state", std::string{}), json.value("reason", std::string{}));
  if (const auto left = json.value("pause_rounds_left", 0U); left > 0) text += fmt::format(" for {} more rounds", left);
  text += fmt::format("; {} pauses\n", json.value("pauses", 0U));
  if (const auto blocks = json.value("compared_blocks", 0U); blocks > 0) {
    text +=
        fmt::format("in {} blocks with learned weights requests were worth {:+.3f} (±{:.3f}) against those around\n",
                    blocks, json.value("difference", 0.0), json.value("difference_deviation", 0.0));
  }
  return text;
}

std::string weights_text(const Json& json) {
  const Json scorers = json.value("scorers", Json::array());
  std::string text = fmt::format("profile {}: {}, after {} requests\n", json.value("profile", std::string{}),
                                 json.value("frozen", false) ? "frozen" : "learning", json.value("requests", 0U));
  text +=
      fmt::format("outcomes of late are worth {:.3f} with the configured weights, {:.3f} with others; {} fallbacks\n",
                  json.value("control_reward", 0.0), json.value("learned_reward", 0.0), json.value("fallbacks", 0U));
  text += guard_text(json);
  text += fmt::format("now: {}\n{}\n", json.value("context", std::string{}),
                      weights_line(scorers, json.value("weights", Json::array())));
  for (const Json& each : json.value("contexts", Json::array())) {
    text += fmt::format("{}: {} rounds, {} fallbacks{}\n{}\n", each.value("context", std::string{}),
                        each.value("rounds", 0U), each.value("fallbacks", 0U),
                        each.value("paused", false) ? ", paused" : "",
                        weights_line(scorers, each.value("weights", Json::array())));
  }
  return text;
}

}  // namespace

Result<RunningServer> RunningServer::find(const std::string& admin) {
  if (!admin.empty()) return RunningServer{admin};
  const std::vector<std::string> sockets = find_runtime_files("admin.sock");
  if (!sockets.empty()) return RunningServer{"unix:" + sockets.front()};
  return fail(ErrorCode::kNotFound, "no gateway of this user runs on this machine",
              "start llmd up or llmd gateway, or give --admin unix:PATH");
}

Result<std::string> RunningServer::ask(std::string_view method, std::string_view target) const {
  LLMD_TRY(const net::Address address, net::Address::parse(socket_));
  LLMD_TRY(net::Fetched fetched, net::fetch(address, target, {.method = method}));
  if (fetched.status == 200) return std::move(fetched.body);
  return fail(fetched.status == 404 ? ErrorCode::kNotFound : ErrorCode::kUpstreamFailed, message_of(fetched.body));
}

Result<RunningConfig> RunningServer::config(std::uint64_t version) const {
  LLMD_TRY(const std::string body, ask("GET", fmt::format("/config/versions/{}", version)));
  LLMD_TRY(const Json json, parse(body));
  return RunningConfig{.version = json.value("version", std::uint64_t{0}),
                       .source = json.value("source", std::string{}),
                       .text = json.value("text", std::string{}),
                       .effective = json.value("effective", std::string{})};
}

Result<std::string> RunningServer::versions() const {
  LLMD_TRY(const std::string body, ask("GET", "/config/versions"));
  LLMD_TRY(const Json json, parse(body));
  std::string text;
  for (const Json& each : json.value("versions", Json::array())) {
    text += fmt::format("{:>4}  {}  {}\n", each.value("version", 0U), each.value("since", std::string{}),
                        each.value("source", std::string{}));
  }
  return text;
}

Result<std::string> RunningServer::weights(std::string_view action) const {
  LLMD_TRY(const std::string body,
           action.empty() ? ask("GET", "/weights") : ask("POST", fmt::format("/weights/{}", action)));
  LLMD_TRY(const Json json, parse(body));
  return weights_text(json);
}

Result<std::uint64_t> RunningServer::roll_back(std::uint64_t version) const {
  LLMD_TRY(const std::string body, ask("POST", fmt::format("/config/rollback/{}", version)));
  LLMD_TRY(const Json json, parse(body));
  return json.value("version", std::uint64_t{0});
}

}  // namespace llmd::config
