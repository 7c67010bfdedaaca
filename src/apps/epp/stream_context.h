#pragma once

#include <memory>
#include <random>
#include <span>
#include <utility>

#include "apps/epp/own_metrics.h"
#include "apps/epp/request_plan.h"
#include "base/budget.h"
#include "discovery/request_rules.h"
#include "eppmetrics/epp_metrics.h"
#include "routing/plane.h"
#include "runtime/loop.h"
#include "tracing/tracer.h"

namespace llmd::epp {

/// How streams are served; the same for all.
struct StreamOptions {
  bool uses_subset = true;    // not with --disable-endpoint-subset-filter
  bool tells_scores = false;  // --emit-endpoint-scores
  std::size_t body_bytes_max = std::size_t{100} << 20U;
};

/// What the streams of one loop share.
struct StreamContext {
  StreamContext(Loop& on, routing::Plane& of, const StreamOptions& how, Budget& bodies, OwnMetrics& counters,
                eppmetrics::EppMetrics& llm_d, const discovery::RulesBoard& board, tracing::Tracer* spans = nullptr)
      : loop{on},
        plane{of},
        options{how},
        body_budget{bodies},
        metrics{counters},
        epp_metrics{llm_d},
        tracer{spans},
        plans{of.live_config()},
        rules{board},
        scratch{std::make_unique<routing::RouteScratch>(seed())},
        chance{seed()} {}

  Loop& loop;
  routing::Plane& plane;
  const StreamOptions& options;
  Budget& body_budget;
  OwnMetrics& metrics;
  eppmetrics::EppMetrics& epp_metrics;
  tracing::Tracer* const tracer;  // null: nothing is traced
  CurrentPlan plans;
  discovery::CurrentRules rules;
  std::unique_ptr<routing::RouteScratch> scratch;
  Rng chance;  // request ids, targets of rewrites, and endpoints for what cannot be scheduled

 private:
  static std::uint64_t seed() {
    std::random_device device;
    return std::uint64_t{device()} << 32U | device();
  }
};

}  // namespace llmd::epp
