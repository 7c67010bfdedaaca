#pragma once

#include <memory>
#include <vector>

#include "base/error.h"
#include "scheduling/config.h"
#include "scheduling/plugin_spec.h"
#include "scheduling/profile.h"

namespace llmd::scheduling {

/// The profiles that a decision runs, as the profile handler says. The pointers lead into the same BuiltScheduler.
struct Stages {
  const Profile* decode = nullptr;
  const Profile* prefill = nullptr;    // null: one leg always
  const PdDecider* decider = nullptr;  // null: no prefill leg, unless prefill_first
  bool prefill_first = false;          // the prefill profile runs for every request
};

/// A configuration turned into objects. Movable: the pointees stay where they are.
struct BuiltScheduler {
  SchedulingConfig config;
  std::vector<AnyPlugin> plugins;
  std::vector<std::unique_ptr<const Profile>> profiles;
  Stages stages;
  PrefixOptions prefix;
  bool reads_prefixes = false;
};

/// Applies the defaults, checks everything and makes the objects. Errors as in Scheduler::make.
[[nodiscard]] Result<BuiltScheduler> build_scheduler(SchedulingConfig config);

}  // namespace llmd::scheduling
