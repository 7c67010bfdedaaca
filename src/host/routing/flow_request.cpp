#include "routing/flow_request.h"

#include <algorithm>
#include <chrono>

namespace llmd::routing {
namespace {

constexpr float kTtftMsMax = 86'400'000;  // a day; what lies beyond is no objective

}  // namespace

FlowRequest make_flow_request(const RouteRequest& request, std::string_view client_model, const Work& work,
                              std::size_t bytes, TimePoint received, const FlowStrand& flow) {
  FlowRequest made{.fairness_id = fairness_id_of(request.header, *flow.session_headers()),
                   .model = std::string{client_model},
                   .target_model = std::string{request.model},
                   .priority = request.fields.priority,
                   .bytes = bytes,
                   .prompt_tokens = work.facts.prompt_tokens,
                   .uncached_tokens = work.uncached_tokens,
                   .received = received};
  if (const auto ttft_ms = work.facts.slo_ttft_ms) {
    made.ttft_objective =
        std::chrono::duration_cast<Duration>(std::chrono::duration<float, std::milli>(std::min(*ttft_ms, kTtftMsMax)));
  }
  return made;
}

}  // namespace llmd::routing
