#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "simulation/workload.h"
#include "simulation/workloads/arrivals.h"
#include "simulation/workloads/generator.h"

namespace llmd::simulation {

/// What a class of service asks for.
struct ServiceClass {
  std::int32_t priority = 0;
  std::optional<float> slo_ttft_ms{};
  std::optional<float> slo_tpot_ms{};
};

inline constexpr ServiceClass kInteractiveClass{.priority = 10, .slo_ttft_ms = 500.0F, .slo_tpot_ms = 50.0F};
inline constexpr ServiceClass kStandardClass{.priority = 0, .slo_ttft_ms = 2'000.0F, .slo_tpot_ms = 100.0F};
inline constexpr ServiceClass kBatchClass{
    .priority = -10, .slo_ttft_ms = 600'000.0F, .slo_tpot_ms = 1'000.0F};  // may be shed; nobody waits for it

struct TenantOptions {
  double rate_weight = 1;  // its part of the rate, beside the others' weights; at least 0
  double variation = 1;    // of its arrivals: ArrivalOptions::variation
  ServiceClass service = kStandardClass;
  LogNormal system_tokens{};  // its own system prompt, which begins each of its prompts
  LogNormal prompt_tokens{};  // after the system prompt
  LogNormal output_tokens{};
};

/// Two of people at work, one of an application, one that comes in bursts, one of jobs in the background.
[[nodiscard]] std::vector<TenantOptions> default_tenants();

struct TenantsOptions {
  GeneratorOptions common{};                               // arrivals.variation is each tenant's own instead
  std::vector<TenantOptions> tenants = default_tenants();  // none: no requests
};

/// Several tenants with their own rates, lengths and classes of service. Each has one system prompt; nothing is shared
/// across tenants. SimRequest::tenant is the place in TenantsOptions::tenants. O(tenants) a request.
class TenantsWorkload final : public Workload {
 public:
  explicit TenantsWorkload(const TenantsOptions& options);
  [[nodiscard]] std::optional<SimRequest> next() override;
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return generator_.block_tokens(); }

 private:
  struct Tenant {
    std::uint32_t place;
    TenantOptions options;
    ArrivalProcess arrivals;
    Duration next;
    Text system;
  };

  Generator generator_;
  std::vector<Tenant> tenants_;
};

}  // namespace llmd::simulation
