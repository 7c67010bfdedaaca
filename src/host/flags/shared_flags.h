#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "telemetry/log.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace llmd::flags {

/// Flags that several commands have, declared once. What is passed in receives the value, holds the default that the
/// help shows, and must outlive the app.

struct LogFlags {
  log::Level level = log::Level::kInfo;
  log::Format format = log::Format::kAuto;
};
/// --log-level, --log-format.
void add_log_flags(CLI::App& app, LogFlags& flags);

struct ServingFlags {
  std::chrono::milliseconds request_timeout{600'000};
  std::chrono::milliseconds drain_timeout{30'000};
};
/// --request-timeout, --drain-timeout.
void add_serving_flags(CLI::App& app, ServingFlags& flags);

inline constexpr std::size_t kBodyBytesMax = 16U << 20U;
/// --max-body.
void add_body_flag(CLI::App& app, std::size_t& bytes_max);

/// An address to listen on; one that net::Address cannot read is refused.
CLI::Option* add_address_flag(CLI::App& app, const std::string& name, std::string& address, const std::string& text);

/// A file or name of a model, the same for every command that takes one.
CLI::Option* add_model_flag(CLI::App& app, std::string& model);

struct Bounds {
  std::uint32_t min = 0;
  std::uint32_t max = 0;
};
/// A whole number of seconds, or of milliseconds.
CLI::Option* add_seconds(CLI::App& app, const std::string& name, std::chrono::milliseconds& value, Bounds bounds,
                         const std::string& text);
CLI::Option* add_milliseconds(CLI::App& app, const std::string& name, std::chrono::milliseconds& value, Bounds bounds,
                              const std::string& text);

/// A size such as 512MiB, in units of 1,024. Negative ones and fractions are refused.
CLI::Option* as_bytes(CLI::Option* option);
/// A number from `min` to `max`; not-a-number is none.
CLI::Option* in_range(CLI::Option* option, double min, double max);

/// LLMD_API_KEY, and what the help says of it.
[[nodiscard]] std::string api_key();
inline constexpr const char* kServerKeyText =
    "LLMD_API_KEY, if set, is the bearer key that every call but /health, /ready and /metrics needs.";

}  // namespace llmd::flags
