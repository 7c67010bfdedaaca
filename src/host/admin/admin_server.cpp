#include "admin/admin_server.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <utility>

#include "admin/admin_json.h"
#include "admin/explanation_json.h"
#include "base/percent_decoding.h"

namespace llmd::admin {
namespace {

constexpr std::string_view kExplanations = "/explanations/";
constexpr std::string_view kWeights = "/weights/";

net::Response json_answer(std::string json) {
  net::Response response{.status = 200, .headers = {}, .body = std::move(json)};
  response.headers.add("Content-Type", "application/json");
  return response;
}

net::Response error_answer(ErrorCode code, std::string what, std::string hint) {
  return net::default_error_response({.code = code, .what = std::move(what), .hint = std::move(hint)});
}

/// The number behind `prefix`, if the path is that.
std::optional<std::uint64_t> number_after(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix)) return std::nullopt;
  path.remove_prefix(prefix.size());
  std::uint64_t number = 0;
  const auto [rest, status] = std::from_chars(path.data(), path.data() + path.size(), number);
  if (status != std::errc{} || rest != path.data() + path.size()) return std::nullopt;
  return number;
}

net::Response roll_back(const AdminSources& sources, std::uint64_t number) {
  const auto made = sources.roll_back(number);
  if (!made) return net::default_error_response(made.error());
  return json_answer(fmt::format("{{\"version\":{}}}", *made));
}

net::Response answer_config(const AdminSources& sources, std::string_view path) {
  if (path == "/config/versions") return json_answer(sources.versions_json());
  const auto number = number_after(path, "/config/versions/");
  auto json = number ? sources.version_json(*number) : std::nullopt;
  if (json) return json_answer(*std::move(json));
  return error_answer(ErrorCode::kNotFound, fmt::format("no version at \"{}\"", path.substr(0, 128)),
                      "GET /config/versions lists those that are kept");
}

net::Response answer_weights(const AdminSources& sources) {
  auto json = sources.weights_json();
  return json ? json_answer(*std::move(json)) : net::default_error_response(json.error());
}

net::Response answer_why(const AdminSources& sources, std::string_view id, std::string_view query) {
  constexpr std::string_view kWhyNot = "why_not=";
  const auto record = sources.record(id);
  if (!record) {
    return error_answer(ErrorCode::kNotFound, fmt::format("no request \"{}\" is remembered", id.substr(0, 128)),
                        "only the last requests are; the id is in the answer's x-request-id header");
  }
  if (!query.starts_with(kWhyNot)) return json_answer(record_json(*record));
  std::vector<std::string> names;
  for (const pool::EndpointReport& report : sources.endpoints()) names.push_back(report.state.endpoint->name);
  return json_answer(why_not_json(*record, percent_decoded(query.substr(kWhyNot.size())), names));
}

net::Response answer(const AdminSources& sources, const net::Request& request) {
  const std::string_view path = request.path();
  if (const auto number = number_after(path, "/config/rollback/"); number && request.method == "POST")
    return roll_back(sources, *number);
  if (path.starts_with(kWeights) && request.method == "POST") {
    const auto done = sources.steer_weights(path.substr(kWeights.size()));
    return done ? answer_weights(sources) : net::default_error_response(done.error());
  }
  if (request.method != "GET" && request.method != "HEAD") {
    return error_answer(ErrorCode::kMethodNotAllowed, fmt::format("{} is not allowed here", request.method), "use GET");
  }
  if (path == "/endpoints") return json_answer(endpoints_json(sources.endpoints(), SteadyClock::now()));
  if (path == "/config") return json_answer(sources.config_json());
  if (path == "/weights") return answer_weights(sources);
  if (path == "/summary") return json_answer(sources.summary_json());
  if (path.starts_with("/config/versions")) return answer_config(sources, path);
  if (path.starts_with(kExplanations)) return answer_why(sources, path.substr(kExplanations.size()), request.query());
  return error_answer(ErrorCode::kNotFound, fmt::format("no path \"{}\"", path.substr(0, 128)),
                      "paths are /explanations/{id}, /endpoints, /config, /config/versions, /weights and /summary");
}

}  // namespace

Result<std::unique_ptr<AdminServer>> AdminServer::listen(Loop& loop, const net::Address& address,
                                                         AdminSources sources) {
  if (!address.is_unix()) {
    return fail(ErrorCode::kAddressInvalid,
                fmt::format("the admin address is {}; expected a unix socket", address.to_string()),
                "write unix:/path/to/admin.sock");
  }
  auto admin = std::unique_ptr<AdminServer>{new AdminServer};
  admin->sources_ = std::move(sources);
  net::ServerOptions options{.listen = address, .limits = {.body_bytes_max = 64 * 1024, .connections_max = 64}};
  auto handler = [sources = &admin->sources_](net::Request request, net::Exchange& exchange) -> Task<void> {
    (void)co_await exchange.respond(answer(*sources, request));
  };
  LLMD_TRY(admin->server_, net::Server::listen({&loop}, std::move(options), handler));
  return admin;
}

}  // namespace llmd::admin
