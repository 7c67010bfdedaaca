#include "flow/fairness/global_strict_fairness.h"

#include "flow/fairness/flow_heap.h"

namespace llmd::flow {
namespace {

class Index final : public FairnessIndex {
 public:
  void activate(FlowId flow, const Head& head, TimePoint /*now*/) override { heads_.push(flow, head.key); }
  void head_changed(FlowId flow, const Head& head) override { heads_.update(flow, head.key); }
  void deactivate(FlowId flow) override { heads_.erase(flow); }
  FlowId pick(TimePoint /*now*/) override { return heads_.top().handle; }

 private:
  FlowHeap<OrderKey> heads_;
};

}  // namespace

std::unique_ptr<FairnessIndex> GlobalStrictFairness::make_index() const { return std::make_unique<Index>(); }

}  // namespace llmd::flow
