// links: llmd_rpc
// Protobuf fields and ext_proc messages out of any bytes. What is read lies within the bytes, survives being written
// and read again, and what was found can be told back to Envoy unchanged.
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/protobuf_wire.h"
#include "rpc/ext_proc/processing_request.h"
#include "rpc/ext_proc/processing_response.h"

namespace {

using llmd::WireReader;
using llmd::WireWriter;
using Field = WireReader::Field;

void require(bool condition) {
  if (!condition) std::abort();
}

bool equal(const Field& a, const Field& b) {
  return a.number == b.number && a.type == b.type && a.value == b.value && a.bytes == b.bytes;
}

std::vector<Field> fields_of(std::string_view message) {
  WireReader reader{message};
  std::vector<Field> all;
  for (Field field; reader.next(field);) all.push_back(field);
  return all;
}

bool within(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check_fields(std::string_view message) {
  WireWriter writer;
  std::vector<Field> kept;
  for (const Field& field : fields_of(message)) {
    require(field.number > 0 && within(field.bytes, message));
    if (field.type == WireReader::Type::kFixed32) continue;  // nothing that we write has one
    kept.push_back(field);
    if (field.type == WireReader::Type::kVarint) writer.varint(field.number, field.value);
    if (field.type == WireReader::Type::kBytes) writer.bytes(field.number, field.bytes);
    if (field.type == WireReader::Type::kFixed64) writer.fixed64(field.number, std::bit_cast<double>(field.value));
  }
  const std::vector<Field> again = fields_of(writer.text());
  require(again.size() == kept.size());
  for (std::size_t i = 0; i < kept.size(); ++i) require(equal(again[i], kept[i]));
}

std::string text_of(const llmd::rpc::ext_proc::Message& message) {
  std::string text;
  for (const auto& piece : message) text += piece.bytes;
  return text;
}

/// The request's headers, told back, are the headers of a request again but for the option around each.
void check_headers(const llmd::rpc::ext_proc::ProcessingRequest& request) {
  if (request.headers.empty()) return;
  const std::string text = text_of(llmd::rpc::ext_proc::headers_message({.set_headers = request.headers}));
  const Field common = fields_of(fields_of(text).at(0).bytes).at(0);
  const std::vector<Field> options = fields_of(fields_of(common.bytes).at(0).bytes);
  require(options.size() == request.headers.size());
  for (std::size_t i = 0; i < options.size(); ++i) {
    const std::vector<Field> header = fields_of(fields_of(options[i].bytes).at(0).bytes);
    require(header.at(0).bytes == request.headers[i].first && header.at(1).bytes == request.headers[i].second);
  }
}

void check_body(std::string_view body, bool ends) {
  const llmd::net::H2Bytes bytes{.owner = nullptr, .bytes = body};
  const std::string text = text_of(llmd::rpc::ext_proc::body_message(false, bytes, ends));
  std::string_view inner = text;
  for (int depth = 0; depth < 4; ++depth) inner = fields_of(inner).at(0).bytes;
  const std::vector<Field> streamed = fields_of(inner);
  require(streamed.at(0).bytes == body && streamed.size() == (ends ? 2U : 1U));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view message{reinterpret_cast<const char*>(data), size};
  check_fields(message);
  llmd::rpc::ext_proc::ProcessingRequest request;
  const auto parsed = llmd::rpc::ext_proc::parse(message, request);
  if (!parsed) {
    require(!parsed.error().what.empty());
    return 0;
  }
  for (const auto& [name, value] : request.headers) require(within(name, message) && within(value, message));
  require(within(request.body, message) && within(request.served, message));
  if (request.subset) {
    for (const std::string_view address : *request.subset) require(within(address, message));
  }
  check_headers(request);
  check_body(request.body, request.end_of_stream);
  return 0;
}
