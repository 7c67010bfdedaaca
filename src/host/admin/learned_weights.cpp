#include "admin/learned_weights.h"

#include <fmt/format.h>

#include <memory>
#include <span>

#include "api/openai/json_writer.h"
#include "scheduling/learning/weight_learner.h"
#include "telemetry/log.h"

namespace llmd::admin {
namespace {

using scheduling::WeightLearner;

Result<std::shared_ptr<WeightLearner>> learner_of(const routing::Router& router) {
  if (auto learner = router.weight_learner()) return learner;
  return fail(ErrorCode::kNotFound, "no weights are learned under the configuration in force",
              "add the plugin weight-learner to it");
}

void write_weights(std::span<const float> weights, openai::JsonWriter& writer) {
  writer.key("weights").begin_array();
  for (const float weight : weights) writer.number(weight);
  writer.end_array();
}

/// Whether anything is tried now, and why not.
void write_guard(const WeightLearner::Status& status, openai::JsonWriter& writer) {
  writer.key("state").string(status.frozen ? "frozen" : scheduling::state_name(status.state));
  writer.key("reason").string(status.frozen ? "the weights stay as they are" : scheduling::state_reason(status.state));
  writer.key("pauses").integer(static_cast<std::int64_t>(status.pauses));
  writer.key("pause_rounds_left").integer(status.pause_rounds_left);
  writer.key("difference").number(static_cast<float>(status.difference.mean));
  writer.key("difference_deviation").number(static_cast<float>(status.difference.deviation));
  writer.key("compared_blocks").integer(static_cast<std::int64_t>(status.difference.blocks));
}

void write_context(const WeightLearner::ContextStatus& context, openai::JsonWriter& writer) {
  writer.begin_object().key("context").string(context.name);
  writer.key("rounds").integer(static_cast<std::int64_t>(context.rounds));
  writer.key("fallbacks").integer(static_cast<std::int64_t>(context.fallbacks));
  writer.key("paused").boolean(context.paused);
  write_weights(context.weights, writer);
  writer.end_object();
}

}  // namespace

Result<std::string> learned_weights_json(const routing::Router& router) {
  LLMD_TRY(const std::shared_ptr<WeightLearner> learner, learner_of(router));
  const WeightLearner::Status status = learner->status();
  std::string json;
  openai::JsonWriter writer{json};
  writer.begin_object().key("profile").string(status.profile);
  writer.key("frozen").boolean(status.frozen);
  writer.key("requests").integer(static_cast<std::int64_t>(status.requests));
  writer.key("fallbacks").integer(static_cast<std::int64_t>(status.fallbacks));
  writer.key("control_reward").number(static_cast<float>(status.control_reward));
  writer.key("learned_reward").number(static_cast<float>(status.learned_reward));
  writer.key("context").string(status.context);
  write_guard(status, writer);
  writer.key("scorers").begin_array();
  for (const WeightLearner::Scorer& scorer : status.scorers) {
    writer.begin_object().key("scorer").string(scorer.name);
    writer.key("configured").number(scorer.weight);
    writer.end_object();
  }
  writer.end_array();
  write_weights(status.weights, writer);
  writer.key("contexts").begin_array();
  for (const WeightLearner::ContextStatus& context : status.contexts) write_context(context, writer);
  writer.end_array().end_object();
  return json;
}

Result<void> steer_learned_weights(const routing::Router& router, std::string_view action) {
  LLMD_TRY(const std::shared_ptr<WeightLearner> learner, learner_of(router));
  if (action == "freeze" || action == "unfreeze") {
    learner->freeze(action == "freeze");
  } else if (action == "reset") {
    learner->reset();
  } else {
    return fail(ErrorCode::kNotFound, fmt::format("learned weights have no \"{}\"", action.substr(0, 128)),
                "there are freeze, unfreeze and reset");
  }
  log::info("learned weights: {} by the control socket", action);
  return {};
}

}  // namespace llmd::admin
