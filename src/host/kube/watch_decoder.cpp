#include "kube/watch_decoder.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <optional>
#include <utility>

namespace llmd::kube {
namespace {

namespace dom = simdjson::dom;

/// Empty if it is absent or no text. By steps: at_pointer() sets off a false warning of GCC 12.
template <class... Name>
std::string text_at(dom::element from, Name... names) {
  simdjson::simdjson_result<dom::element> found{std::move(from)};
  ((found = found[std::string_view{names}]), ...);
  std::string_view text;
  return found.get_string().get(text) == simdjson::SUCCESS ? std::string{text} : std::string{};
}

Object object_of(dom::element json) {
  return {.name = text_at(json, "metadata", "name"),
          .ns = text_at(json, "metadata", "namespace"),
          .uid = text_at(json, "metadata", "uid"),
          .resource_version = text_at(json, "metadata", "resourceVersion"),
          .json = simdjson::minify(json)};
}

std::optional<WatchEvent::Kind> kind_of(std::string_view type) {
  using enum WatchEvent::Kind;
  if (type == "ADDED") return kAdded;
  if (type == "MODIFIED") return kModified;
  if (type == "DELETED") return kDeleted;
  if (type == "BOOKMARK") return kBookmark;
  if (type == "ERROR") return kError;
  return std::nullopt;
}

Result<void> read_event(std::string_view line, std::vector<WatchEvent>& events) {
  dom::parser parser;
  dom::element root;
  dom::element object;
  if (const auto error = parser.parse(line.data(), line.size()).get(root); error != simdjson::SUCCESS)
    return fail(ErrorCode::kProtocol, fmt::format("a watch event is no JSON: {}", simdjson::error_message(error)));
  if (root["object"].get(object) != simdjson::SUCCESS || !object.is_object())
    return fail(ErrorCode::kProtocol, "a watch event has no object");
  const auto kind = kind_of(text_at(root, "type"));
  if (!kind) return {};
  WatchEvent event{.kind = *kind, .object = object_of(object)};
  if (*kind == WatchEvent::Kind::kError) {
    std::int64_t code = 0;
    if (object["code"].get_int64().get(code) == simdjson::SUCCESS) event.code = static_cast<int>(code);
    event.message = text_at(object, "message");
  }
  events.push_back(std::move(event));
  return {};
}

}  // namespace

Result<void> WatchDecoder::feed(std::string_view bytes, std::vector<WatchEvent>& events) {
  while (true) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() > kEventBytesMax)
      return fail(ErrorCode::kBodyTooLarge, fmt::format("a watch event is longer than {} bytes", kEventBytesMax));
    line_ += part;
    if (end == std::string_view::npos) return {};
    bytes.remove_prefix(end + 1);
    const std::string line = std::exchange(line_, {});
    if (line.empty()) continue;
    LLMD_TRY_VOID(read_event(line, events));
  }
}

Result<ListPage> read_list(std::string_view json) {
  dom::parser parser;
  dom::element root;
  if (const auto error = parser.parse(json.data(), json.size()).get(root); error != simdjson::SUCCESS)
    return fail(ErrorCode::kProtocol, fmt::format("a list is no JSON: {}", simdjson::error_message(error)));
  dom::array items;
  ListPage page;
  if (const auto found = root["items"]; found.error() == simdjson::SUCCESS && !found.value_unsafe().is_null()) {
    if (found.get_array().get(items) != simdjson::SUCCESS) return fail(ErrorCode::kProtocol, "a list's items are none");
    for (const dom::element item : items) page.objects.push_back(object_of(item));
  }
  page.resource_version = text_at(root, "metadata", "resourceVersion");
  page.continue_token = text_at(root, "metadata", "continue");
  if (page.resource_version.empty()) return fail(ErrorCode::kProtocol, "a list has no resourceVersion");
  return page;
}

}  // namespace llmd::kube
