#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmd::top {

/// One look at a gateway: what /summary and /endpoints of its admin socket say.
struct Sample {
  struct Row {
    std::string name;
    std::string health;
    std::uint64_t inflight = 0;
    std::optional<double> running;
    std::optional<double> waiting;
    std::optional<double> kv_usage;
    double generation_tokens = 0;
    double prefix_query_tokens = 0;
    double prefix_hit_tokens = 0;
  };
  std::string listen;
  std::uint64_t in_flight = 0;
  double requests = 0;
  double prompt_tokens = 0;
  double completion_tokens = 0;
  std::vector<Row> rows;
};

/// Error kProtocol if the two are not answers of an admin socket.
[[nodiscard]] Result<Sample> read_sample(std::string_view summary_json, std::string_view endpoints_json);

/// The screen for `now`; rates come from what happened since `before` (none: they are left out).
[[nodiscard]] std::string render(const Sample& now, const Sample* before, std::chrono::duration<double> between);

}  // namespace llmd::top
