#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/routes_file.h"
#include "model/endpoint.h"

namespace llmd::pool {

inline constexpr std::size_t kEndpointsMax = 4'096;
inline constexpr std::size_t kEndpointFileBytesMax = 1024 * 1024;

/// Reads endpoints in llm-d's file-discovery form, YAML or JSON:
///   endpoints: [{name, namespace? (default), address (literal IP), port ("8000"), labels?}]
/// Beside it, instead of address and port: `url` (http://host:port, https:// or unix:/path). Names become
/// "namespace/name"; of equal names the last counts. Error kConfigInvalid names `file`, the line and what was expected.
[[nodiscard]] Result<std::vector<Endpoint>> parse_endpoint_file(std::string_view text, std::string_view file);

/// Reads and parses a file. Errors: kFileNotFound, kFileInvalid (larger than kEndpointFileBytesMax, unreadable), and
/// those above.
[[nodiscard]] Result<std::vector<Endpoint>> load_endpoint_file(const std::string& path);

/// Reads "URL,URL,...": http://host:port, https://host:port, host:port or unix:/path. The URL is the name. Error
/// kAddressInvalid.
[[nodiscard]] Result<std::vector<Endpoint>> parse_endpoint_urls(std::string_view list);

/// The endpoints that a pool of a routes file lists; an engine becomes the label of `engine_label`. Names are URLs
/// where none are given. Error kConfigInvalid names `file`, the line and what was expected: an address that is none,
/// two of a name.
[[nodiscard]] Result<std::vector<Endpoint>> make_endpoints(const config::PoolEntry& pool, std::string_view engine_label,
                                                           std::string_view file);

/// Whether one of them is spoken to by TLS.
[[nodiscard]] bool any_https(const std::vector<Endpoint>& endpoints);

/// Whether the text of `--endpoints` names a file rather than URLs.
[[nodiscard]] bool names_endpoint_file(std::string_view text);

}  // namespace llmd::pool
