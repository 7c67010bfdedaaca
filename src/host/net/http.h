#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmd::net {

/// Header fields in the order in which they came. Names compare without case. Few entries: search is linear.
class Headers {
 public:
  [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const noexcept;
  /// Adds, keeping others of the name.
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  /// Replaces all of the name.
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);
  void reserve(std::size_t fields) { fields_.reserve(fields); }
  void clear() noexcept { fields_.clear(); }
  [[nodiscard]] auto begin() const noexcept { return fields_.begin(); }
  [[nodiscard]] auto end() const noexcept { return fields_.end(); }
  [[nodiscard]] std::size_t size() const noexcept { return fields_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct Request {
  std::string method;  // upper case
  std::string target;  // path and query as sent
  Headers headers;
  std::string body;
  std::string peer;  // "127.0.0.1:4711" or "unix:uid=1000"

  [[nodiscard]] std::string_view path() const noexcept;   // without the query
  [[nodiscard]] std::string_view query() const noexcept;  // without '?', may be empty
};

/// A whole answer. Content-Length is added by the server. Give it a name before awaiting its sending: GCC 12 copies an
/// aggregate that is made inside a co_await expression bit by bit, which breaks its strings.
struct Response {
  int status = 200;
  Headers headers;
  std::string body;
};

/// ASCII only.
[[nodiscard]] bool equals_ignoring_case(std::string_view left, std::string_view right) noexcept;

/// "OK" for 200; "Unknown" for a status without a name of its own.
[[nodiscard]] std::string_view reason_phrase(int status) noexcept;

}  // namespace llmd::net
