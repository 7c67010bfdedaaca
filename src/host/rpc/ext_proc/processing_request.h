#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace llmd::rpc::ext_proc {

/// What Envoy tells of one part of a request or answer (envoy.service.ext_proc.v3.ProcessingRequest, Envoy 1.40), as
/// far as an endpoint picker reads it. Views into the message that it was parsed from.
struct ProcessingRequest {
  enum class Part : std::uint8_t {
    kNone,  // of a part that is unknown here
    kRequestHeaders,
    kResponseHeaders,
    kRequestBody,
    kResponseBody,
    kRequestTrailers,
    kResponseTrailers,
  };

  Part part = Part::kNone;
  /// Of headers: names as they came, which HTTP/2 has in lower case; values are raw_value, or else value.
  std::vector<std::pair<std::string_view, std::string_view>> headers{};
  std::string_view body{};
  bool end_of_stream = false;  // of headers or body: nothing of this direction follows
  /// metadata_context.filter_metadata["envoy.lb.subset_hint"]["x-gateway-destination-endpoint-subset"]: addresses that
  /// may be picked. Nothing: all.
  std::optional<std::vector<std::string_view>> subset{};
  /// metadata_context.filter_metadata["envoy.lb"]["x-gateway-destination-endpoint-served"]; empty: not told.
  std::string_view served{};
  bool has_lb_metadata = false;  // there is a namespace envoy.lb
  /// How Envoy sends bodies; the first message of a stream tells.
  enum class BodyMode : std::uint8_t { kNotTold, kNone, kStreamed, kBuffered, kBufferedPartial, kFullDuplex, kGrpc };
  BodyMode request_body_mode = BodyMode::kNotTold;
  BodyMode response_body_mode = BodyMode::kNotTold;

  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept;
  /// Whether exactly one header has the name.
  [[nodiscard]] bool has_one(std::string_view name) const noexcept;
};

/// Parses one message. `into` is reused: its vectors keep their room. Error kProtocol: no such message.
[[nodiscard]] Result<void> parse(std::string_view message, ProcessingRequest& into);

}  // namespace llmd::rpc::ext_proc
