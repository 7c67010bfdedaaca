#include "flow/fairness/round_robin_fairness.h"

#include <vector>

namespace llmd::flow {
namespace {

constexpr FlowId kNobody = UINT32_MAX;

class Index final : public FairnessIndex {
 public:
  void activate(FlowId flow, const Head& /*head*/, TimePoint /*now*/) override {
    if (flow >= ring_.size()) ring_.resize(flow + 1);
    if (next_ == kNobody) {
      ring_[flow] = {flow, flow};
      next_ = flow;
      return;
    }
    const FlowId last = ring_[next_].before;
    ring_[flow] = {.before = last, .after = next_};
    ring_[last].after = flow;
    ring_[next_].before = flow;
  }
  void head_changed(FlowId /*flow*/, const Head& /*head*/) override {}
  void deactivate(FlowId flow) override {
    const auto [before, after] = ring_[flow];
    if (next_ == flow) next_ = after == flow ? kNobody : after;
    ring_[before].after = after;
    ring_[after].before = before;
  }
  FlowId pick(TimePoint /*now*/) override { return next_; }
  void dispatched(FlowId flow, const Charge& /*charge*/, TimePoint /*now*/) override { next_ = ring_[flow].after; }

 private:
  struct Neighbours {
    FlowId before = kNobody;
    FlowId after = kNobody;
  };
  std::vector<Neighbours> ring_;  // by flow; of the active ones
  FlowId next_ = kNobody;
};

}  // namespace

std::unique_ptr<FairnessIndex> RoundRobinFairness::make_index() const { return std::make_unique<Index>(); }

}  // namespace llmd::flow
