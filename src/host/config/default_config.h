#pragma once

#include <string_view>

namespace llmd::config {

/// What the gateway and `llmd up` run without a configuration file, as the YAML that a user would write: our policy
/// expected-latency, with llm-d's weighted sum, which decides until its model has learned.
[[nodiscard]] std::string_view default_unified_config() noexcept;

/// What llm-d runs without a configuration file.
[[nodiscard]] std::string_view llm_d_default_config() noexcept;

/// What `llmd up` runs with prefill and decode workers: the prefill leg when at least 64 tokens are not cached.
[[nodiscard]] std::string_view default_disagg_config() noexcept;

}  // namespace llmd::config
