#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "model/endpoint.h"
#include "scheduling/header_name.h"

namespace llmd::scheduling {

/// The label's value without blanks at its ends; empty if the endpoint has none. The view leads into the endpoint.
[[nodiscard]] inline std::string_view label_value(const Endpoint& endpoint, const std::string& label) noexcept {
  const auto found = endpoint.labels.find(label);
  return found == endpoint.labels.end() ? std::string_view{} : without_blanks(found->second);
}

/// A number that stands for the text without blanks at its ends, to compare labels with headers and no strings: equal
/// texts have equal ids, 0 is no text. A hash: who makes two texts collide gains no more than by sending the other one.
[[nodiscard]] inline std::uint64_t text_id(std::string_view text) noexcept {
  const std::string_view value = without_blanks(text);
  if (value.empty()) return 0;
  const std::uint64_t hash = xxh64(value);
  return hash == 0 ? 1 : hash;
}

}  // namespace llmd::scheduling
