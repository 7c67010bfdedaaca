#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Where a request says to which session it belongs: in a header of its own, or in a cookie.
struct SessionIdProducer {
  static const PluginSpec kSpec;
  /// What llm-d calls the request attribute that holds the id.
  static constexpr std::string_view kAttribute = "SessionIDDataKey";

  std::string header;  // in lower case; "cookie" if the id is in a cookie
  std::string cookie;  // its name; empty: the header's whole value is the id

  /// Error kConfigInvalid: not exactly one of headerName and cookieName.
  [[nodiscard]] static Result<SessionIdProducer> read(const ParameterReader& parameters);

  /// Without blanks at both ends; empty: the request does not say. Lives as long as the request.
  [[nodiscard]] std::string_view session_id(const RequestFacts& request) const noexcept;
};

}  // namespace llmd::scheduling
