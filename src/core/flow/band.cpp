#include "flow/band.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace llmd::flow {
namespace {

constexpr double kOutputMeanShare = 1.0 / 8;  // of a new answer's length in the mean

auto places(ItemStore& items) {
  return [&items](ItemIndex index) -> std::uint32_t& { return items[index].place; };
}

}  // namespace

Band::Band(std::int32_t priority, bool listed, BandRules rules, std::uint64_t seed)
    : priority_{priority},
      listed_{listed},
      rules_{std::move(rules)},
      fairness_{rules_.fairness.policy->make_index()},
      by_name_{0, SeededHash{seed}} {}

void Band::set_rules(BandRules rules, bool listed) {
  listed_ = listed;
  if (!rules_.orders_like(rules)) fairness_ = rules.fairness.policy->make_index();
  rules_ = std::move(rules);
}

Head Band::head_of(const ItemStore& items, const Flow& flow) {
  const auto& top = flow.items.top();
  return {.key = top.key, .enqueued = items[top.handle].facts.enqueued};
}

FlowId Band::flow_of(std::string_view fairness_id, TimePoint now) {
  if (const auto found = by_name_.find(fairness_id); found != by_name_.end()) return found->second;
  FlowId flow = static_cast<FlowId>(flows_.size());
  if (unused_.empty()) {
    flows_.emplace_back();
  } else {
    flow = unused_.back();
    unused_.pop_back();
  }
  flows_[flow].name = fairness_id;
  by_name_.emplace(flows_[flow].name, flow);
  become_idle(flow, now);
  return flow;
}

void Band::become_idle(FlowId flow, TimePoint now) {
  Flow& idle = flows_[flow];
  idle.idle_since = now;
  idle.longer_idle = least_idle_;
  idle.less_idle = kNoFlow;
  (least_idle_ == kNoFlow ? longest_idle_ : flows_[least_idle_].less_idle) = flow;
  least_idle_ = flow;
  ++idle_;
}

void Band::leave_idle(FlowId flow) {
  const Flow& idle = flows_[flow];
  (idle.longer_idle == kNoFlow ? longest_idle_ : flows_[idle.longer_idle].less_idle) = idle.less_idle;
  (idle.less_idle == kNoFlow ? least_idle_ : flows_[idle.less_idle].longer_idle) = idle.longer_idle;
  --idle_;
}

// A few at a time, so that no request pays for all.
void Band::forget_idle(TimePoint now) {
  for (int i = 0; i < 2 && longest_idle_ != kNoFlow; ++i) {
    const FlowId flow = longest_idle_;
    if (idle_ <= kIdleFlowsMax && now - flows_[flow].idle_since < rules_.fairness.policy->idle_max()) return;
    leave_idle(flow);
    by_name_.erase(flows_[flow].name);
    flows_[flow] = Flow{};
    fairness_->forget(flow);
    unused_.push_back(flow);
  }
}

void Band::insert(ItemStore& items, ItemIndex index, std::string_view fairness_id, std::uint64_t sequence,
                  TimePoint now) {
  forget_idle(now);
  const FlowId id = flow_of(fairness_id, now);
  Flow& flow = flows_[id];
  Item& item = items[index];
  item.band = this;
  item.flow = id;
  item.key = {.order = rules_.ordering.policy->key(item.facts), .sequence = sequence};
  const bool was_idle = flow.items.empty();
  flow.items.push(index, item.key, places(items));
  flow.bytes += item.bytes;
  bytes_ += item.bytes;
  if (waiting_++ == 0) passed_over_since_ = now;
  if (was_idle) {
    leave_idle(id);
    fairness_->activate(id, head_of(items, flow), now);
  } else if (flow.items.top().handle == index) {
    fairness_->head_changed(id, head_of(items, flow));
  }
}

ItemIndex Band::pick(TimePoint now) { return flows_[fairness_->pick(now)].items.top().handle; }

std::uint32_t Band::charge(const ItemStore& items, ItemIndex index, TimePoint now) {
  const Item& item = items[index];
  const auto expected = static_cast<std::uint32_t>(std::lround(flows_[item.flow].output_mean));
  fairness_->dispatched(item.flow, {.prompt_tokens = item.prompt_tokens, .output_tokens_expected = expected}, now);
  passed_over_since_ = now;
  drain_.note(now);
  return expected;
}

void Band::remove(ItemStore& items, ItemIndex index, TimePoint now) {
  Item& item = items[index];
  Flow& flow = flows_[item.flow];
  const bool was_head = flow.items.top().handle == index;
  flow.items.erase(index, places(items));
  flow.bytes -= item.bytes;
  bytes_ -= item.bytes;
  if (--waiting_ == 0) idle_since_ = now;
  if (flow.items.empty()) {
    fairness_->deactivate(item.flow);
    become_idle(item.flow, now);
  } else if (was_head) {
    fairness_->head_changed(item.flow, head_of(items, flow));
  }
}

void Band::finish(std::string_view fairness_id, const Charge& charge, std::uint32_t output_tokens, TimePoint now) {
  const auto found = by_name_.find(fairness_id);
  if (found == by_name_.end()) return;  // it was idle for so long that it is forgotten
  Flow& flow = flows_[found->second];
  if (output_tokens > 0) {
    const double share = flow.output_mean > 0 ? kOutputMeanShare : 1;
    flow.output_mean += share * (output_tokens - flow.output_mean);
  }
  fairness_->finished(found->second, charge, output_tokens, now);
}

double Band::service_of(std::string_view fairness_id, TimePoint now) const {
  const auto found = by_name_.find(fairness_id);
  return found == by_name_.end() ? 0 : fairness_->service(found->second, now);
}

bool Band::check_integrity(const ItemStore& items) const {
  std::uint64_t waiting = 0;
  std::uint64_t bytes = 0;
  std::size_t without = unused_.size();
  for (const Flow& flow : flows_) {
    std::uint64_t flow_bytes = 0;
    for (std::size_t i = 0; i < flow.items.size(); ++i) {
      const auto& entry = flow.items.entries()[i];
      const Item& item = items[entry.handle];
      if (item.band != this || item.place != i || item.key != entry.key) return false;
      if (i > 0 && entry.key < flow.items.entries()[(i - 1) / 2].key) return false;
      flow_bytes += item.bytes;
    }
    if (flow_bytes != flow.bytes) return false;
    waiting += flow.items.size();
    bytes += flow_bytes;
    if (flow.items.empty()) ++without;
  }
  return waiting == waiting_ && bytes == bytes_ && without == unused_.size() + idle_ + unused_.size() &&
         by_name_.size() == flows();
}

}  // namespace llmd::flow
