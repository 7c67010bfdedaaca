#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmd::config {

/// One value of a YAML (or JSON) document with its place. Owns everything below it; aliases are copied in. A plain
/// value.
struct YamlNode {
  enum class Kind : std::uint8_t { kNull, kScalar, kSequence, kMap };

  Kind kind = Kind::kNull;
  bool quoted = false;            // of a scalar: never a number, a bool or null
  int line = 0;                   // from 1
  int column = 0;                 // from 1
  std::string text{};             // of a scalar
  std::vector<YamlNode> keys{};   // of a map: scalars, as many as items
  std::vector<YamlNode> items{};  // of a map its values, else the sequence's elements
};

struct YamlLimits {
  std::size_t bytes_max = std::size_t{1} << 20;
  std::size_t nodes_max = 20'000;  // after aliases were copied in
  std::size_t depth_max = 32;
};

/// Parses one document; an empty text is a null node. `source` (a file's name) begins each error. Error kConfigInvalid:
/// not YAML, beyond a limit, more than one document, a key that is no scalar. No exception leaves it.
[[nodiscard]] Result<YamlNode> parse_yaml(std::string_view text, std::string_view source,
                                          const YamlLimits& limits = {});

}  // namespace llmd::config
