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

Result<std::uint64_t> RunningServer::roll_back(std::uint64_t version) const {
  LLMD_TRY(const std::string body, ask("POST", fmt::format("/config/rollback/{}", version)));
  LLMD_TRY(const Json json, parse(body));
  return json.value("version", std::uint64_t{0});
}

}  // namespace llmd::config
