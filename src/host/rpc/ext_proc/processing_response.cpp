#include "rpc/ext_proc/processing_response.h"

#include <map>

#include "base/protobuf_wire.h"

// The numbers of fields: see processing_request.cpp, and envoy/type/v3/http_status.proto.
namespace llmd::rpc::ext_proc {
namespace {

constexpr std::uint32_t kDynamicMetadata = 8;
constexpr std::uint32_t kImmediateResponse = 7;

Message message_of(std::string text) {
  Message message;
  message.push_back(net::own(std::move(text)));
  return message;
}

using HeaderList = std::vector<std::pair<std::string_view, std::string_view>>;

std::size_t field_size(std::size_t size) noexcept { return WireWriter::field_size(size); }

/// envoy.config.core.v3.HeaderValue {key = 1, raw_value = 3}.
std::size_t header_size(const std::pair<std::string_view, std::string_view>& header) noexcept {
  return field_size(header.first.size()) + field_size(header.second.size());
}

/// Of envoy.service.ext_proc.v3.HeaderMutation {set_headers = 1 {header = 1}, remove_headers = 2}.
std::size_t mutation_size(const HeaderList& headers, const std::vector<std::string_view>& removed) noexcept {
  std::size_t size = 0;
  for (const auto& header : headers) size += field_size(field_size(header_size(header)));
  for (const std::string_view name : removed) size += field_size(name.size());
  return size;
}

/// As field 2, if it says anything. An option without append_action replaces.
void put_mutation(const HeaderList& headers, const std::vector<std::string_view>& removed, WireWriter& into) {
  const std::size_t size = mutation_size(headers, removed);
  if (size == 0) return;
  into.bytes_head(2, size);
  for (const auto& header : headers) {
    const std::size_t bytes = header_size(header);
    into.bytes_head(1, field_size(bytes)).bytes_head(1, bytes).bytes(1, header.first).bytes(3, header.second);
  }
  for (const std::string_view name : removed) into.bytes(2, name);
}

/// What of CommonResponse is about the head.
std::size_t common_size(const HeadersReply& reply) noexcept {
  const std::size_t mutation = mutation_size(reply.set_headers, reply.remove_headers);
  return (mutation > 0 ? field_size(mutation) : 0) + (reply.clear_route_cache ? 2 : 0);
}

void put_common(const HeadersReply& reply, WireWriter& into) {
  put_mutation(reply.set_headers, reply.remove_headers, into);
  if (reply.clear_route_cache) into.varint(5, 1);
}

std::string entry(std::string_view key, std::string_view value) {
  return WireWriter{}.bytes(1, key).bytes(2, value).text();
}

}  // namespace

Message headers_message(const HeadersReply& reply) {
  const std::size_t common = common_size(reply);
  const std::size_t metadata = reply.dynamic_metadata.empty() ? 0 : field_size(reply.dynamic_metadata.size());
  WireWriter response;
  response.reserve(field_size(field_size(common)) + metadata)
      .bytes_head(reply.of_response ? 2 : 1, field_size(common))  // HeadersResponse
      .bytes_head(1, common);
  put_common(reply, response);
  if (metadata > 0) response.bytes(kDynamicMetadata, reply.dynamic_metadata);
  return message_of(std::move(response).text());
}

Message body_message(bool of_response, net::H2Bytes body, bool end_of_stream, std::string_view dynamic_metadata) {
  const std::size_t streamed = field_size(body.bytes.size()) + (end_of_stream ? 2 : 0);
  const std::size_t mutation = field_size(streamed);
  const std::size_t common = field_size(mutation);
  const std::size_t answer = field_size(common);
  WireWriter head;
  head.bytes_head(of_response ? 4 : 3, answer)  // BodyResponse
      .bytes_head(1, common)                    // CommonResponse
      .bytes_head(3, mutation)                  // BodyMutation
      .bytes_head(3, streamed)                  // StreamedBodyResponse
      .bytes_head(1, body.bytes.size());
  WireWriter tail;
  if (end_of_stream) tail.varint(2, 1);
  if (!dynamic_metadata.empty()) tail.bytes(kDynamicMetadata, dynamic_metadata);
  Message message = message_of(std::move(head).text());
  message.push_back(std::move(body));
  if (!tail.text().empty()) message.push_back(net::own(std::move(tail).text()));
  return message;
}

Message held_body_message(const HeadersReply& reply, std::optional<net::H2Bytes> replacement) {
  const std::size_t mutation = replacement ? field_size(replacement->bytes.size()) : 0;
  const std::size_t common = common_size(reply) + (replacement ? field_size(mutation) : 0);
  WireWriter head;
  head.bytes_head(reply.of_response ? 4 : 3, field_size(common)).bytes_head(1, common);
  put_common(reply, head);
  if (replacement) head.bytes_head(3, mutation).bytes_head(1, replacement->bytes.size());
  Message message = message_of(std::move(head).text());
  if (replacement) message.push_back(*std::move(replacement));
  if (!reply.dynamic_metadata.empty())
    message.push_back(net::own(WireWriter{}.bytes(kDynamicMetadata, reply.dynamic_metadata).text()));
  return message;
}

Message trailers_message(bool of_response) { return message_of(WireWriter{}.bytes(of_response ? 6 : 5, {}).text()); }

Message immediate_message(const ImmediateReply& reply) {
  const std::string status = WireWriter{}.varint(1, static_cast<std::uint64_t>(reply.status)).text();
  WireWriter immediate;
  immediate.bytes(1, status);
  put_mutation(reply.set_headers, {}, immediate);
  immediate.bytes(3, reply.body);
  return message_of(WireWriter{}.bytes(kImmediateResponse, immediate.text()).text());
}

std::string numbers_metadata(const std::vector<MetadataNumber>& numbers) {
  std::map<std::string_view, WireWriter> spaces;
  for (const MetadataNumber& each : numbers)
    spaces[each.name_space].bytes(1, entry(each.name, WireWriter{}.fixed64(2, each.value).text()));
  WireWriter all;
  for (const auto& [name, fields] : spaces) all.bytes(1, entry(name, WireWriter{}.bytes(5, fields.text()).text()));
  return std::move(all).text();
}

std::string destination_metadata(std::string_view endpoints,
                                 const std::vector<std::pair<std::string, double>>& scores) {
  WireWriter inner;
  inner.bytes(1, entry("x-gateway-destination-endpoint", WireWriter{}.bytes(3, endpoints).text()));
  if (!scores.empty()) {
    WireWriter of_endpoints;
    for (const auto& [endpoint, score] : scores)
      of_endpoints.bytes(1, entry(endpoint, WireWriter{}.fixed64(2, score).text()));
    inner.bytes(1, entry("x-gateway-destination-endpoint-scores", WireWriter{}.bytes(5, of_endpoints.text()).text()));
  }
  return WireWriter{}.bytes(1, entry("envoy.lb", WireWriter{}.bytes(5, inner.text()).text())).text();
}

}  // namespace llmd::rpc::ext_proc
