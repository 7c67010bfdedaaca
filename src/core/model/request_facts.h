#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/prefix_key.h"

namespace llmd {

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
};

}  // namespace llmd
