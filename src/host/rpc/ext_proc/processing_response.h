#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/h2_session.h"
#include "rpc/ext_proc/processing_request.h"

namespace llmd::rpc::ext_proc {

/// What Envoy is answered (envoy.service.ext_proc.v3.ProcessingResponse, Envoy 1.40), as messages on the wire.
using Message = std::vector<net::H2Bytes>;

struct HeadersReply {
  bool of_response = false;
  std::vector<std::pair<std::string_view, std::string_view>> set_headers{};  // sent as raw_value
  std::vector<std::string_view> remove_headers{};
  bool clear_route_cache = false;
  std::string dynamic_metadata{};  // a google.protobuf.Struct on the wire; empty: none
};
[[nodiscard]] Message headers_message(const HeadersReply& reply);

/// A piece of a body in full duplex mode, which is not copied: `body` is sent from where it lies.
[[nodiscard]] Message body_message(bool of_response, net::H2Bytes body, bool end_of_stream,
                                   std::string_view dynamic_metadata = {});

/// The whole body in buffered mode, or a piece of it in streamed mode: what Envoy has goes on, replaced by
/// `replacement` if there is one, and with what `reply` says of the headers, which Envoy has held back.
[[nodiscard]] Message held_body_message(const HeadersReply& reply, std::optional<net::H2Bytes> replacement);

/// "Nothing is changed" for trailers.
[[nodiscard]] Message trailers_message(bool of_response);

/// Envoy answers the client with this and sends nothing on.
struct ImmediateReply {
  int status = 500;
  std::vector<std::pair<std::string_view, std::string_view>> set_headers{};
  std::string_view body{};
};
[[nodiscard]] Message immediate_message(const ImmediateReply& reply);

/// A number for the proxy: {name_space: {name: value}}.
struct MetadataNumber {
  std::string_view name_space;
  std::string_view name;
  double value = 0;
};
/// These as a google.protobuf.Struct. Those of one namespace stand together.
[[nodiscard]] std::string numbers_metadata(const std::vector<MetadataNumber>& numbers);

/// {"envoy.lb": {"x-gateway-destination-endpoint": endpoints}} as a google.protobuf.Struct; with `scores` (by endpoint,
/// in order), "x-gateway-destination-endpoint-scores" beside it.
[[nodiscard]] std::string destination_metadata(std::string_view endpoints,
                                               const std::vector<std::pair<std::string, double>>& scores = {});

}  // namespace llmd::rpc::ext_proc
