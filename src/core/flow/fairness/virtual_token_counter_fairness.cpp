#include "flow/fairness/virtual_token_counter_fairness.h"

#include <algorithm>
#include <compare>
#include <vector>

#include "flow/fairness/flow_heap.h"

namespace llmd::flow {
namespace {

struct CounterKey {
  double counter = 0;
  FlowId flow = 0;  // so that no two are alike
  friend auto operator<=>(const CounterKey&, const CounterKey&) = default;
};

class Index final : public FairnessIndex {
 public:
  explicit Index(VirtualTokenCounterFairness::Options options) noexcept : options_{options} {}

  void activate(FlowId flow, const Head& /*head*/, TimePoint /*now*/) override {
    double& counter = counter_of(flow);
    counter = std::max(counter, active_.empty() ? last_served_ : active_.top().key.counter);
    active_.push(flow, {counter, flow});
  }
  void head_changed(FlowId /*flow*/, const Head& /*head*/) override {}
  void deactivate(FlowId flow) override { active_.erase(flow); }
  FlowId pick(TimePoint /*now*/) override { return active_.top().handle; }

  void dispatched(FlowId flow, const Charge& charge, TimePoint /*now*/) override {
    add(flow, options_.input_weight * charge.prompt_tokens + options_.output_weight * charge.output_tokens_expected);
    last_served_ = counters_[flow];
  }
  void finished(FlowId flow, const Charge& charge, std::uint32_t output_tokens, TimePoint /*now*/) override {
    add(flow, options_.output_weight * (static_cast<double>(output_tokens) - charge.output_tokens_expected));
  }
  double service(FlowId flow, TimePoint /*now*/) const override {
    return flow < counters_.size() ? counters_[flow] : 0;
  }
  void forget(FlowId flow) override { counter_of(flow) = 0; }

 private:
  double& counter_of(FlowId flow) {
    if (flow >= counters_.size()) counters_.resize(flow + 1, 0.0);
    return counters_[flow];
  }
  void add(FlowId flow, double tokens) {
    double& counter = counter_of(flow);
    counter += tokens;
    if (active_.contains(flow)) active_.update(flow, {counter, flow});
  }

  const VirtualTokenCounterFairness::Options options_;
  std::vector<double> counters_;  // by flow
  FlowHeap<CounterKey> active_;
  double last_served_ = 0;  // the counter of the flow that was served last
};

}  // namespace

std::unique_ptr<FairnessIndex> VirtualTokenCounterFairness::make_index() const {
  return std::make_unique<Index>(options_);
}

}  // namespace llmd::flow
