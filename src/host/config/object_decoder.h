#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "config/yaml_tree.h"

namespace llmd::config {

/// What one field of an object means: called with its value.
struct FieldDecoder {
  std::string_view name;
  std::function<Result<void>(const YamlNode& value)> decode;
};

/// Strict decoding of YAML nodes of one source. Every error is kConfigInvalid and begins with "source:line:column: ".
class ObjectDecoder {
 public:
  /// `source` must outlive it.
  explicit ObjectDecoder(std::string_view source) noexcept : source_{source} {}

  /// Calls the decoder of each field that is there. Null is an empty object. Errors: not an object, a field twice, a
  /// field that none of the decoders names (the hint is the nearest name), and the decoders' own. `what` names the
  /// object: "a plugin".
  [[nodiscard]] Result<void> object(const YamlNode& node, std::string_view what,
                                    std::span<const FieldDecoder> fields) const;
  /// Calls `decode` with each element. Null is empty.
  [[nodiscard]] Result<void> sequence(const YamlNode& node, std::string_view what,
                                      const std::function<Result<void>(const YamlNode& item)>& decode) const;

  /// A scalar's text. Null is empty.
  [[nodiscard]] Result<std::string> text(const YamlNode& node, std::string_view what) const;
  [[nodiscard]] Result<double> number(const YamlNode& node, std::string_view what) const;
  [[nodiscard]] Result<std::int64_t> integer(const YamlNode& node, std::string_view what) const;
  [[nodiscard]] Result<bool> flag(const YamlNode& node, std::string_view what) const;

  [[nodiscard]] std::unexpected<Error> fail_at(const YamlNode& node, std::string_view what,
                                               std::string hint = {}) const;

 private:
  [[nodiscard]] std::unexpected<Error> wrong_type(const YamlNode& node, std::string_view what,
                                                  std::string_view expected) const;

  std::string_view source_;
};

}  // namespace llmd::config
