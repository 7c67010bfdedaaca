#include "pool/endpoint_list.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "net/server.h"

namespace llmd::pool {
namespace {

std::unexpected<Error> bad_entry(std::string_view file, const YAML::Node& node, std::string what) {
  return fail(ErrorCode::kConfigInvalid, fmt::format("{}:{}: {}", file, node.Mark().line + 1, what),
              "an entry is {name: pod-a, address: 10.0.0.1, port: \"8000\"}");
}

/// The text of a scalar member, empty if it is not there.
Result<std::string> scalar(std::string_view file, const YAML::Node& entry, const char* name) {
  const YAML::Node node = entry[name];
  if (!node || node.IsNull()) return std::string{};
  if (!node.IsScalar()) return bad_entry(file, node, fmt::format("{} is not a text", name));
  return node.Scalar();
}

Result<std::string> entry_url(std::string_view file, const YAML::Node& entry) {
  LLMD_TRY(const std::string url, scalar(file, entry, "url"));
  LLMD_TRY(const std::string address, scalar(file, entry, "address"));
  LLMD_TRY(const std::string port, scalar(file, entry, "port"));
  if (!url.empty()) {
    const auto parsed = net::Address::parse_url(url);
    if (!parsed) return bad_entry(file, entry, fmt::format("url: {}", parsed.error().what));
    return url;
  }
  boost::system::error_code error;
  const auto ip = boost::asio::ip::make_address(address, error);
  if (error) return bad_entry(file, entry, fmt::format("address is \"{}\"; expected a literal IP address", address));
  const std::string text =
      ip.is_v6() ? fmt::format("http://[{}]:{}", address, port) : fmt::format("http://{}:{}", address, port);
  if (!net::Address::parse(text))
    return bad_entry(file, entry, fmt::format("port is \"{}\"; expected 1 to 65535", port));
  return text;
}

Result<Endpoint> read_entry(std::string_view file, const YAML::Node& entry) {
  if (!entry.IsMap()) return bad_entry(file, entry, "an entry of endpoints is not a map");
  LLMD_TRY(const std::string name, scalar(file, entry, "name"));
  LLMD_TRY(std::string space, scalar(file, entry, "namespace"));
  if (name.empty()) return bad_entry(file, entry, "name is missing");
  if (space.empty()) space = "default";
  Endpoint endpoint;
  endpoint.name = fmt::format("{}/{}", space, name);
  LLMD_TRY(endpoint.url, entry_url(file, entry));
  const YAML::Node labels = entry["labels"];
  if (labels && !labels.IsNull()) {
    if (!labels.IsMap()) return bad_entry(file, labels, "labels is not a map");
    for (const auto& label : labels) {
      if (!label.first.IsScalar() || !label.second.IsScalar()) return bad_entry(file, labels, "a label is not a text");
      endpoint.labels[label.first.Scalar()] = label.second.Scalar();
    }
  }
  return endpoint;
}

Result<std::vector<Endpoint>> read_entries(std::string_view file, const YAML::Node& root) {
  const YAML::Node list = root.IsMap() ? root["endpoints"] : YAML::Node{};
  if (!list || !list.IsSequence()) return bad_entry(file, root, "endpoints is missing or is not a list");
  if (list.size() > kEndpointsMax) {
    return bad_entry(file, list, fmt::format("{} endpoints; at most {} are served", list.size(), kEndpointsMax));
  }
  std::vector<Endpoint> endpoints;
  for (const auto& entry : list) {
    LLMD_TRY(Endpoint endpoint, read_entry(file, entry));
    std::erase_if(endpoints, [&](const Endpoint& earlier) { return earlier.name == endpoint.name; });
    endpoints.push_back(std::move(endpoint));
  }
  return endpoints;
}

}  // namespace

Result<std::vector<Endpoint>> parse_endpoint_file(std::string_view text, std::string_view file) {
  try {
    return read_entries(file, YAML::Load(std::string{text}));
  } catch (const YAML::Exception& error) {
    return fail(ErrorCode::kConfigInvalid, fmt::format("{}:{}: {}", file, error.mark.line + 1, error.msg));
  }
}

Result<std::vector<Endpoint>> load_endpoint_file(const std::string& path) {
  std::ifstream stream{path, std::ios::binary};
  if (!stream) {
    return fail(ErrorCode::kFileNotFound, fmt::format("endpoint file {}: {}", path, std::strerror(errno)));
  }
  std::string text(kEndpointFileBytesMax + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) return fail(ErrorCode::kFileInvalid, fmt::format("endpoint file {} cannot be read", path));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kEndpointFileBytesMax) {
    return fail(ErrorCode::kFileInvalid,
                fmt::format("endpoint file {} is larger than {} bytes", path, kEndpointFileBytesMax));
  }
  return parse_endpoint_file(text, path);
}

Result<std::vector<Endpoint>> parse_endpoint_urls(std::string_view list) {
  std::vector<Endpoint> endpoints;
  while (!list.empty()) {
    const std::string_view item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), item.size() + 1));
    if (item.empty()) continue;
    LLMD_TRY(const net::Address address, net::Address::parse_url(item));
    if (!address.is_unix() && address.port == 0) {
      return fail(ErrorCode::kAddressInvalid, fmt::format("endpoint \"{}\" has no port", item),
                  "write http://host:port");
    }
    Endpoint endpoint;
    endpoint.name = item;
    endpoint.url = item;
    endpoints.push_back(std::move(endpoint));
  }
  if (endpoints.empty())
    return fail(ErrorCode::kAddressInvalid, "no endpoint given", "--endpoints http://host:port,...");
  if (endpoints.size() > kEndpointsMax) {
    return fail(ErrorCode::kAddressInvalid,
                fmt::format("{} endpoints; at most {} are served", endpoints.size(), kEndpointsMax));
  }
  return endpoints;
}

Result<std::vector<Endpoint>> make_endpoints(const config::PoolEntry& pool, std::string_view engine_label,
                                             std::string_view file) {
  std::vector<Endpoint> endpoints;
  std::set<std::string_view> names;
  for (const config::PoolEndpoint& each : pool.endpoints) {
    const auto invalid = [&](std::string_view what) {
      return fail(ErrorCode::kConfigInvalid, fmt::format("{}:{}: {}", file, each.line, what),
                  "write http://HOST:PORT, https://HOST:PORT or unix:/path");
    };
    const auto address = net::Address::parse_url(each.url);
    if (!address) return invalid(address.error().what);
    if (!address->is_unix() && address->port == 0) return invalid(fmt::format("\"{}\" has no port", each.url));
    const std::string& name = each.name.empty() ? each.url : each.name;
    if (!names.insert(name).second) return invalid(fmt::format("there are two endpoints \"{}\"", name));
    Endpoint endpoint{.name = name, .url = each.url, .models = {}, .labels = each.labels};
    if (!each.engine.empty()) endpoint.labels[std::string{engine_label}] = each.engine;
    endpoints.push_back(std::move(endpoint));
  }
  return endpoints;
}

bool any_https(const std::vector<Endpoint>& endpoints) {
  return std::ranges::any_of(endpoints, [](const Endpoint& each) { return each.url.starts_with("https://"); });
}

bool names_endpoint_file(std::string_view text) {
  std::error_code error;
  return text.find(',') == std::string_view::npos && !text.starts_with("unix:") &&
         std::filesystem::is_regular_file(text, error);
}

}  // namespace llmd::pool
