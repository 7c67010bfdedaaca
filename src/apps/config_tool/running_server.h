#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace llmd::config {

/// A configuration as a running server tells it.
struct RunningConfig {
  std::uint64_t version = 0;
  std::string source;
  std::string text;
  std::string effective;
};

/// The control socket of one running gateway.
class RunningServer {
 public:
  /// The one of `admin` ("unix:PATH"), or the newest of this user's. Error kNotFound: none runs.
  [[nodiscard]] static Result<RunningServer> find(const std::string& admin);

  /// 0: the one in force. Errors: kNotFound, those of net::fetch.
  [[nodiscard]] Result<RunningConfig> config(std::uint64_t version) const;
  /// One line a version, oldest first.
  [[nodiscard]] Result<std::string> versions() const;
  /// The number of the version that this made.
  [[nodiscard]] Result<std::uint64_t> roll_back(std::uint64_t version) const;
  /// What is learned of a profile's weights, for people. `action` is done before: "freeze", "unfreeze", "reset", or
  /// nothing. Error kNotFound: nothing learns.
  [[nodiscard]] Result<std::string> weights(std::string_view action) const;

 private:
  explicit RunningServer(std::string socket) : socket_{std::move(socket)} {}
  [[nodiscard]] Result<std::string> ask(std::string_view method, std::string_view target) const;
  std::string socket_;
};

}  // namespace llmd::config
