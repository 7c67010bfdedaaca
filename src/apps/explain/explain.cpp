#include "apps/explain/explain.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "apps/explain/report.h"
#include "flags/command_line.h"
#include "flags/shared_flags.h"
#include "net/fetch.h"
#include "runtime/runtime_directory.h"

namespace llmd {
namespace explain {
namespace {

constexpr std::size_t kEndpointNameMax = 512;

std::string percent_encoded(std::string_view text) {
  std::string encoded;
  for (const char c : text) encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return encoded;
}

/// Asks one process after the other, newest first, until one remembers the request.
Result<std::string> find_record(const std::vector<std::string>& sockets, const std::string& request_id,
                                std::string_view why_not) {
  Error last{.code = ErrorCode::kNotFound,
             .what = "no gateway of this user runs on this machine",
             .hint = "start llmd up or llmd gateway, or give --admin unix:PATH"};
  for (const std::string& socket : sockets) {
    LLMD_TRY(const net::Address address, net::Address::parse(socket));
    std::string target = "/explanations/" + request_id;
    if (!why_not.empty()) target += "?why_not=" + percent_encoded(why_not);
    auto fetched = net::fetch(address, target);
    if (fetched && fetched->status == 200) return std::move(fetched->body);
    last = fetched ? Error{.code = ErrorCode::kNotFound,
                           .what = fmt::format("no request {} is remembered", request_id),
                           .hint =
                               "only the last requests are, those that failed the longest; the id is in the answer's "
                               "x-request-id header"}
                   : std::move(fetched).error();
  }
  return std::unexpected(std::move(last));
}

}  // namespace
}  // namespace explain

int explain_main(int argc, char** argv) {
  std::string request_id;
  std::string admin;
  std::string why_not;
  bool json = false;
  CLI::App app{"Tells why a request went where it went.", "llmd explain"};
  app.add_option("REQUEST_ID", request_id, "The answer's x-request-id header")->required();
  flags::add_address_flag(app, "--admin", admin,
                          "unix:PATH of the control socket (default: those of this user's processes)");
  app.add_option("--why-not", why_not, "An endpoint, by its name or a piece of it: why did the request not go there?");
  app.add_flag("--json", json, "What is known as JSON, for programs");
  if (const auto ending = flags::parse(app, argc, argv)) return flags::end(*ending);
  const bool usable = request_id.size() <= 128 && request_id.find_first_of("/?# %") == std::string::npos;
  if (!usable) {
    return flags::end(flags::refusal(app, fmt::format("\"{}\" is no request id", request_id.substr(0, 128))));
  }
  if (why_not.size() > explain::kEndpointNameMax)
    return flags::end(flags::refusal(app, "--why-not is longer than any endpoint's name"));
  std::vector<std::string> sockets;
  if (!admin.empty()) sockets.push_back(admin);
  if (admin.empty()) {
    for (const std::string& path : find_runtime_files("admin.sock")) sockets.push_back("unix:" + path);
  }
  const auto record = explain::find_record(sockets, request_id, why_not);
  const auto told = record && !json ? (why_not.empty() ? explain::report : explain::report_why_not)(*record) : record;
  if (!told) {
    fmt::print(stderr, "llmd explain: {}\n", told.error().to_string());
    return 1;
  }
  std::fwrite(told->data(), 1, told->size(), stdout);
  return 0;
}

}  // namespace llmd
