#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/prefix_key.h"

namespace llmd {

/// A name in lower case and its value.
using Header = std::pair<std::string, std::string>;

/// One image, audio or video of a prompt.
struct MediaItem {
  std::uint64_t hash = 0;    // of its content or URL
  std::uint32_t weight = 1;  // tokens that it takes
};

/// All that a scheduling decision may know of a request. Values only, made once by `routing`.
struct RequestFacts {
  std::string request_id;
  std::string model;
  PrefixKey prefix;
  std::uint32_t prompt_tokens = 0;  // exact or estimated, see `prompt_tokens_exact`
  bool prompt_tokens_exact = false;
  std::uint32_t output_tokens_max = 0;  // 0: not given
  std::int32_t priority = 0;            // higher wins; negative may be shed
  bool streaming = false;
  std::optional<float> slo_ttft_ms{};  // what the client hopes for
  std::optional<float> slo_tpot_ms{};
  std::vector<MediaItem> media{};
  std::vector<Header> headers{};  // only those that Scheduler::headers_read() names

  /// The header's value, empty if it is absent. Pre: `name` is in lower case.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
};

}  // namespace llmd
