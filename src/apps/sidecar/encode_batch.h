#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/sidecar/leg.h"
#include "apps/sidecar/sidecar_metrics.h"
#include "runtime/event.h"

namespace llmd::sidecar {

/// The encode requests of one request, some at a time; the first that fails ends all. Belongs to one loop.
struct EncodeBatch {
  static constexpr std::size_t kAtOnce = 32;

  EncodeBatch(Loop& on, SidecarMetrics& counts) : loop{on}, metrics{counts}, done{on} {}

  /// Starts them; `done` follows. `self` keeps them.
  static void start(const std::shared_ptr<EncodeBatch>& self);
  void cancel();

  Loop& loop;
  SidecarMetrics& metrics;
  std::vector<LegRequest> requests;
  std::vector<std::string> answers;  // bodies, as many as requests
  std::optional<std::string> failure;
  Event done;

 private:
  static Task<void> work(std::shared_ptr<EncodeBatch> self);
  std::vector<std::shared_ptr<Leg>> running_;
  std::size_t next_ = 0;
  std::size_t workers_ = 0;
};

}  // namespace llmd::sidecar
