#include "rpc/ext_proc/processing_request.h"

#include <algorithm>
#include <functional>

#include "base/protobuf_wire.h"

// The numbers of fields are those of envoy/service/ext_proc/v3/external_processor.proto,
// envoy/config/core/v3/base.proto and google/protobuf/struct.proto, compared with the definitions that the crate
// envoy-types 0.7.7 carries.
namespace llmd::rpc::ext_proc {
namespace {

using Field = WireReader::Field;
using Part = ProcessingRequest::Part;

constexpr std::size_t kHeadersUsual = 24;
constexpr std::size_t kHeadersMax = 1'000;  // Envoy stops at 100 unless it is told otherwise
constexpr std::string_view kSubsetNamespace = "envoy.lb.subset_hint";
constexpr std::string_view kSubsetKey = "x-gateway-destination-endpoint-subset";
constexpr std::string_view kServedNamespace = "envoy.lb";
constexpr std::string_view kServedKey = "x-gateway-destination-endpoint-served";

bool is_bytes(const Field& field, std::uint32_t number) noexcept {
  return field.number == number && field.type == WireReader::Type::kBytes;
}

template <class Each>
Result<void> each_field(std::string_view message, Each each) {
  WireReader reader{message};
  Field field;
  while (reader.next(field)) {
    LLMD_TRY_VOID(each(field));
  }
  return reader.whole();
}

/// The entries of a map<string, message> in the field `number`.
template <class Each>
Result<void> each_entry(std::string_view message, std::uint32_t number, Each each) {
  return each_field(message, [&](const Field& field) -> Result<void> {
    if (!is_bytes(field, number)) return {};
    std::string_view key;
    std::string_view value;
    LLMD_TRY_VOID(each_field(field.bytes, [&](const Field& part) -> Result<void> {
      if (is_bytes(part, 1)) key = part.bytes;
      if (is_bytes(part, 2)) value = part.bytes;
      return {};
    }));
    return each(key, value);
  });
}

/// google.protobuf.Value that is a string; nothing otherwise.
Result<std::optional<std::string_view>> string_value(std::string_view value) {
  std::optional<std::string_view> text;
  LLMD_TRY_VOID(each_field(value, [&](const Field& field) -> Result<void> {
    if (is_bytes(field, 3)) text = field.bytes;
    return {};
  }));
  return text;
}

Result<void> read_subset(std::string_view value, ProcessingRequest& into) {
  return each_field(value, [&](const Field& field) -> Result<void> {
    if (!is_bytes(field, 6)) return {};  // list_value
    into.subset.emplace();
    return each_field(field.bytes, [&](const Field& item) -> Result<void> {
      if (!is_bytes(item, 1)) return {};
      LLMD_TRY(const auto text, string_value(item.bytes));
      if (text) into.subset->push_back(*text);
      return {};
    });
  });
}

Result<void> read_metadata(std::string_view metadata, ProcessingRequest& into) {
  return each_entry(metadata, 1, [&](std::string_view name, std::string_view structure) -> Result<void> {
    if (name != kSubsetNamespace && name != kServedNamespace) return {};
    into.has_lb_metadata |= name == kServedNamespace;
    return each_entry(structure, 1, [&](std::string_view key, std::string_view value) -> Result<void> {
      if (name == kSubsetNamespace && key == kSubsetKey) return read_subset(value, into);
      if (name != kServedNamespace || key != kServedKey) return {};
      LLMD_TRY(const auto text, string_value(value));
      if (text) into.served = *text;
      return {};
    });
  });
}

Result<void> read_header_map(std::string_view map, ProcessingRequest& into) {
  return each_field(map, [&](const Field& field) -> Result<void> {
    if (!is_bytes(field, 1)) return {};
    std::string_view key;
    std::string_view value;
    std::string_view raw;
    WireReader reader{field.bytes};
    for (Field part; reader.next(part);) {
      if (is_bytes(part, 1)) key = part.bytes;
      if (is_bytes(part, 2)) value = part.bytes;
      if (is_bytes(part, 3)) raw = part.bytes;
    }
    LLMD_TRY_VOID(reader.whole());
    if (into.headers.size() >= kHeadersMax) return fail(ErrorCode::kProtocol, "there are too many headers");
    into.headers.emplace_back(key, raw.empty() ? value : raw);
    return {};
  });
}

/// HttpHeaders, HttpBody or HttpTrailers.
Result<void> read_part(std::string_view message, ProcessingRequest& into) {
  const bool is_body = into.part == Part::kRequestBody || into.part == Part::kResponseBody;
  const std::uint32_t end_of_stream = is_body ? 2 : 3;
  return each_field(message, [&](const Field& field) -> Result<void> {
    if (is_bytes(field, 1)) {
      if (!is_body) return read_header_map(field.bytes, into);
      into.body = field.bytes;
    } else if (field.number == end_of_stream && field.type == WireReader::Type::kVarint) {
      into.end_of_stream = field.value != 0;
    }
    return {};
  });
}

/// ProtocolConfiguration. A mode of 0 (none) is not on the wire.
Result<void> read_modes(std::string_view message, ProcessingRequest& into) {
  using Mode = ProcessingRequest::BodyMode;
  constexpr std::uint64_t kModes = 6;
  into.request_body_mode = into.response_body_mode = Mode::kNone;
  return each_field(message, [&](const Field& field) -> Result<void> {
    if (field.type != WireReader::Type::kVarint || field.value >= kModes) return {};
    const auto mode = static_cast<Mode>(field.value + 1);
    if (field.number == 1) into.request_body_mode = mode;
    if (field.number == 2) into.response_body_mode = mode;
    return {};
  });
}

Part part_of(std::uint32_t number) noexcept {
  switch (number) {
    case 2: return Part::kRequestHeaders;
    case 3: return Part::kResponseHeaders;
    case 4: return Part::kRequestBody;
    case 5: return Part::kResponseBody;
    case 6: return Part::kRequestTrailers;
    case 7: return Part::kResponseTrailers;
    default: return Part::kNone;
  }
}

}  // namespace

std::optional<std::string_view> ProcessingRequest::header(std::string_view name) const noexcept {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

bool ProcessingRequest::has_one(std::string_view name) const noexcept {
  return std::ranges::count(headers, name, &std::pair<std::string_view, std::string_view>::first) == 1;
}

Result<void> parse(std::string_view message, ProcessingRequest& into) {
  constexpr std::uint32_t kMetadataContext = 8;
  constexpr std::uint32_t kProtocolConfig = 11;
  into.part = Part::kNone;
  into.headers.clear();
  into.headers.reserve(kHeadersUsual);
  into.body = {};
  into.end_of_stream = false;
  into.subset.reset();
  into.served = {};
  into.has_lb_metadata = false;
  into.request_body_mode = into.response_body_mode = ProcessingRequest::BodyMode::kNotTold;
  return each_field(message, [&](const Field& field) -> Result<void> {
    if (field.type != WireReader::Type::kBytes) return {};
    if (field.number == kMetadataContext) return read_metadata(field.bytes, into);
    if (field.number == kProtocolConfig) return read_modes(field.bytes, into);
    const Part part = part_of(field.number);
    if (part == Part::kNone) return {};
    into.part = part;
    return read_part(field.bytes, into);
  });
}

}  // namespace llmd::rpc::ext_proc
