#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/media_estimate.h"
#include "scheduling/config.h"
#include "scheduling/learning/weight_learner.h"
#include "scheduling/plugin_spec.h"
#include "scheduling/producers/media_index.h"
#include "scheduling/producers/p2p_source_producer.h"
#include "scheduling/profile.h"

namespace llmd::scheduling {

/// The profiles that a decision runs, as the profile handler says. The pointers lead into the same BuiltScheduler.
struct Stages {
  const Profile* decode = nullptr;  // null: header-profile-handler without a profile of its default's name
  const Profile* prefill = nullptr;
  const Profile* encode = nullptr;
  const Decider* prefill_decider = nullptr;  // null: no prefill leg, unless prefill_first
  const Decider* encode_decider = nullptr;   // null: no encode leg
  bool prefill_first = false;                // the prefill profile runs for every request, and before decode
  std::string profile_header{};              // the header that names the decode profile; empty: none does
  std::uint16_t data_parallel_port = 0;      // 0: endpoints are connected to where they say
};

/// A plugin that remembers, and the place of its memory.
struct Rememberer {
  const Plugin* plugin;
  std::string name;  // of the instance, its type, and what the object does
};

/// A configuration turned into objects. Movable: the pointees stay where they are.
struct BuiltScheduler {
  SchedulingConfig config;
  std::vector<PluginObjects> plugins;
  std::vector<std::unique_ptr<const Profile>> profiles;
  struct PlacedAdmitter {
    const Admitter* admitter;
    Profile::Slots slots;
  };
  std::vector<PlacedAdmitter> admitters;
  std::vector<const Plugin*> all;         // every object
  std::vector<const Plugin*> with_fixed;  // in the order of Slots::fixed
  std::vector<Rememberer> rememberers;    // in the order of Slots::memory
  std::shared_ptr<const int> identity;    // of this scheduler, for EndpointCache
  std::vector<TimedPlugin> timed;         // in the order of Slots::timed, the built-in filters first
  /// Their places for what is no object of a plugin.
  struct TimedPlaces {
    std::size_t handler = Profile::kNone;
    std::size_t prefix = Profile::kNone;
    std::size_t media = Profile::kNone;
    std::size_t predictor = Profile::kNone;
  };
  TimedPlaces timed_places{};
  Stages stages;
  PrefixOptions prefix;
  InflightOptions inflight;
  std::optional<MediaIndex::Options> media{};             // of mm-embeddings-cache-producer
  MediaEstimate media_estimate{};                         // of token-producer
  std::optional<P2pSourceProducer::Options> kv_source{};  // of p2p-source-producer
  /// Of weight-learner.
  struct Learning {
    const Profile* profile;
    WeightLearner::Subject subject;
    WeightLearner::Options options;
  };
  std::optional<Learning> learning{};
  bool screens = false;  // a screener is configured
  bool reads_prefixes = false;
  bool predicts = false;               // learns to predict latencies on each endpoint
  bool hands_out_predictions = false;  // to the plugins
};

/// Applies the defaults, checks everything and makes the objects. Errors as in Scheduler::make.
[[nodiscard]] Result<BuiltScheduler> build_scheduler(SchedulingConfig config);

}  // namespace llmd::scheduling
