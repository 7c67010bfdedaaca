#include "simulation/workloads/tenants.h"

#include <algorithm>
#include <utility>

namespace llmd::simulation {

std::vector<TenantOptions> default_tenants() {
  const LogNormal chat_prompt{.median = 300, .sigma = 1, .min = 10, .max = 8'000};
  const LogNormal chat_output{.median = 150, .sigma = 0.8, .min = 8, .max = 1'500};
  const LogNormal long_prompt{.median = 2'500, .sigma = 0.8, .min = 100, .max = 16'000};
  return {
      {.rate_weight = 4,
       .service = kInteractiveClass,
       .system_tokens = {.median = 1'000, .max = 1'000},
       .prompt_tokens = chat_prompt,
       .output_tokens = chat_output},
      {.rate_weight = 2,
       .service = kInteractiveClass,
       .system_tokens = {.median = 3'000, .max = 3'000},
       .prompt_tokens = {.median = 60, .sigma = 0.8, .min = 4, .max = 1'000},
       .output_tokens = {.median = 40, .sigma = 0.6, .min = 4, .max = 300}},
      {.rate_weight = 2,
       .service = kStandardClass,
       .system_tokens = {.median = 500, .max = 500},
       .prompt_tokens = long_prompt,
       .output_tokens = chat_output},
      {.rate_weight = 1,
       .variation = 4,
       .service = kStandardClass,
       .system_tokens = {.median = 2'000, .max = 2'000},
       .prompt_tokens = chat_prompt,
       .output_tokens = {.median = 400, .sigma = 0.7, .min = 16, .max = 3'000}},
      {.rate_weight = 1,
       .variation = 6,
       .service = kBatchClass,
       .system_tokens = {.median = 200, .max = 200},
       .prompt_tokens = {.median = 6'000, .sigma = 0.6, .min = 500, .max = 32'000},
       .output_tokens = {.median = 600, .sigma = 0.6, .min = 50, .max = 4'000}},
  };
}

TenantsWorkload::TenantsWorkload(const TenantsOptions& options) : generator_{options.common} {
  double weights = 0;
  for (const TenantOptions& tenant : options.tenants) weights += std::max(0.0, tenant.rate_weight);
  tenants_.reserve(options.tenants.size());
  for (std::uint32_t place = 0; place < options.tenants.size(); ++place) {
    const TenantOptions& tenant = options.tenants[place];
    if (!(tenant.rate_weight > 0)) continue;  // it asks nothing, and its place stays
    ArrivalOptions own = with_share(options.common.arrivals, tenant.rate_weight / weights);
    own.variation = tenant.variation;
    ArrivalProcess arrivals{own, generator_.fork(1 + place)};
    const Duration first = arrivals.next();
    tenants_.push_back({place, tenant, arrivals, first, generator_.fresh_text(tenant.system_tokens)});
  }
}

std::optional<SimRequest> TenantsWorkload::next() {
  if (generator_.left() == 0 || tenants_.empty()) return std::nullopt;
  Tenant& tenant = *std::ranges::min_element(tenants_, {}, &Tenant::next);
  const Duration arrival = std::exchange(tenant.next, tenant.arrivals.next());
  BlockChain prompt{generator_.block_tokens()};
  prompt.append(tenant.system);
  prompt.append(generator_.fresh_text(tenant.options.prompt_tokens));
  const Text answer = generator_.fresh_text(tenant.options.output_tokens);
  SimRequest who{.tenant = tenant.place,
                 .priority = tenant.options.service.priority,
                 .slo_ttft_ms = tenant.options.service.slo_ttft_ms,
                 .slo_tpot_ms = tenant.options.service.slo_tpot_ms};
  return single_request(std::move(who), arrival, std::move(prompt), answer, generator_);
}

}  // namespace llmd::simulation
