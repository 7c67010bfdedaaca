#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace llmd::kvevents {

/// What --kv-events-config says, in vLLM's words.
struct PublisherOptions {
  bool enabled = false;                    // enable_kv_cache_events, and publisher is not "null"
  std::string endpoint = "tcp://*:5557";   // where batches go
  std::string replay_endpoint{};           // where missed ones can be asked for; empty: nowhere
  std::uint32_t buffer_steps = 10'000;     // batches kept for that
  std::uint32_t hwm = 100'000;             // batches that a consumer may be behind; it misses further ones
  std::uint32_t max_queue_size = 100'000;  // batches that wait to be sent
  std::string topic{};                     // the first frame; {address} and {model} stand for the worker's own
  friend bool operator==(const PublisherOptions&, const PublisherOptions&) = default;
};

/// Reads the JSON object. Error kConfigInvalid names flag, column and, for an unknown key, the nearest known one.
[[nodiscard]] Result<PublisherOptions> parse_publisher_options(std::string_view json);

/// The place of the `index`-th endpoint of a process: the port that many higher, as vLLM's data-parallel ranks have it;
/// port 0 stays. Error kConfigInvalid: beyond the last port, or a second one on ipc.
[[nodiscard]] Result<std::string> place_of(const std::string& endpoint, std::uint32_t index);

/// That no two sockets of so many endpoints would be bound to one place. Error kConfigInvalid.
[[nodiscard]] Result<void> check_apart(const PublisherOptions& options, std::uint32_t endpoints);

/// As in vLLM: a wildcard host and ipc are bound, everything else is connected to.
[[nodiscard]] bool binds(std::string_view endpoint) noexcept;

}  // namespace llmd::kvevents
