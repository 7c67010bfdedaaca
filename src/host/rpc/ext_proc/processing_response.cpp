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

/// envoy.service.ext_proc.v3.HeaderMutation. An option without append_action replaces.
std::string header_mutation(const std::vector<std::pair<std::string_view, std::string_view>>& headers,
                            const std::vector<std::string_view>& removed = {}) {
  WireWriter mutation;
  for (const auto& [name, value] : headers) {
    const std::string header = WireWriter{}.bytes(1, name).bytes(3, value).text();
    const std::string option = WireWriter{}.bytes(1, header).text();
    mutation.bytes(1, option);
  }
  for (const std::string_view name : removed) mutation.bytes(2, name);
  return std::move(mutation).text();
}

std::size_t varint_size(std::uint64_t value) noexcept {
  std::size_t size = 1;
  while (value >>= 7) ++size;
  return size;
}

/// Of a bytes field with a number below 16.
std::size_t field_size(std::size_t size) noexcept { return 1 + varint_size(size) + size; }

std::string entry(std::string_view key, std::string_view value) {
  return WireWriter{}.bytes(1, key).bytes(2, value).text();
}

void put_header_mutation(const HeadersReply& reply, WireWriter& common) {
  if (reply.set_headers.empty() && reply.remove_headers.empty()) return;
  common.bytes(2, header_mutation(reply.set_headers, reply.remove_headers));
}

}  // namespace

Message headers_message(const HeadersReply& reply) {
  WireWriter common;
  put_header_mutation(reply, common);
  if (reply.clear_route_cache) common.varint(5, 1);
  const std::string headers = WireWriter{}.bytes(1, common.text()).text();
  WireWriter response;
  response.bytes(reply.of_response ? 2 : 1, headers);
  if (!reply.dynamic_metadata.empty()) response.bytes(kDynamicMetadata, reply.dynamic_metadata);
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
  WireWriter before;  // the fields of CommonResponse but the body
  put_header_mutation(reply, before);
  if (reply.clear_route_cache) before.varint(5, 1);
  const std::size_t mutation = replacement ? field_size(replacement->bytes.size()) : 0;
  const std::size_t common = before.text().size() + (replacement ? field_size(mutation) : 0);
  WireWriter head;
  head.bytes_head(reply.of_response ? 4 : 3, field_size(common)).bytes_head(1, common);
  std::string first = std::move(head).text() + before.text();
  if (replacement) first += WireWriter{}.bytes_head(3, mutation).bytes_head(1, replacement->bytes.size()).text();
  Message message = message_of(std::move(first));
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
  if (!reply.set_headers.empty()) immediate.bytes(2, header_mutation(reply.set_headers));
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
