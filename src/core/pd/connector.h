#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace llmd::pd {

/// How the KV of a prompt comes from the endpoint that computes it to the one that continues.
enum class Connector : std::uint8_t {
  kNixl,           // vLLM's NixlConnector (v2) and our own workers: the second leg names the blocks that the first left
  kSharedStorage,  // both read and write one store; the decode endpoint may find that it has enough already
  kSglang,         // both legs at once; they meet in a room of the prefill side's bootstrap server
  kMooncake,       // both at once; they meet by a transfer id through the prefill side's bootstrap server
  kOffloading,     // both at once; vLLM's OffloadingConnector, whose peer-to-peer tier the decode side pulls from
};

/// llm-d's name: nixlv2, shared-storage, sglang, mooncake, offloading. No value for any other.
[[nodiscard]] std::optional<Connector> connector_of(std::string_view name) noexcept;
[[nodiscard]] std::string_view connector_name(Connector connector) noexcept;

/// Whether both legs are sent at once.
[[nodiscard]] constexpr bool is_concurrent(Connector connector) noexcept {
  return connector == Connector::kSglang || connector == Connector::kMooncake || connector == Connector::kOffloading;
}

/// Whether a decode endpoint computes a prompt itself if the request names no prefill side. SGLang's refuses.
[[nodiscard]] constexpr bool prefills_locally(Connector connector) noexcept { return connector != Connector::kSglang; }

}  // namespace llmd::pd
