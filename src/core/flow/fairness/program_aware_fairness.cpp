#include "flow/fairness/program_aware_fairness.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

namespace llmd::flow {
namespace {

constexpr double kOutputWeight = 2;      // llm-d's, of a token of output against one of a prompt
constexpr double kHalvingsKept = 256.0;  // then the accounts are scaled down, before they overflow

class Index final : public FairnessIndex {
 public:
  explicit Index(ProgramAwareFairness::Options options) noexcept : options_{options} {}

  void activate(FlowId flow, const Head& head, TimePoint /*now*/) override {
    Account& account = account_of(flow);
    account.active = true;
    account.head = head.enqueued;
    insert(flow);
  }
  void head_changed(FlowId flow, const Head& head) override {
    remove(flow);
    accounts_[flow].head = head.enqueued;
    insert(flow);
  }
  void deactivate(FlowId flow) override {
    remove(flow);
    accounts_[flow].active = false;
  }
  FlowId pick(TimePoint now) override;
  void dispatched(FlowId flow, const Charge& charge, TimePoint now) override { add(flow, charge.prompt_tokens, now); }
  void finished(FlowId flow, const Charge& /*charge*/, std::uint32_t output_tokens, TimePoint now) override {
    add(flow, kOutputWeight * output_tokens, now);
  }
  double service(FlowId flow, TimePoint now) const override {
    return flow < accounts_.size() ? accounts_[flow].inflated / inflation(now) : 0;
  }
  void forget(FlowId flow) override { account_of(flow) = {}; }

 private:
  struct Account {
    double inflated = 0;  // what it attained, times 2 for each half-life since `epoch_`: so decay changes nothing
    TimePoint head{};     // since when its head waits
    bool active = false;
  };

  Account& account_of(FlowId flow) {
    if (flow >= accounts_.size()) accounts_.resize(flow + 1);
    return accounts_[flow];
  }
  void insert(FlowId flow) {
    by_service_.insert({accounts_[flow].inflated, flow});
    by_head_.insert({accounts_[flow].head, flow});
  }
  void remove(FlowId flow) {
    by_service_.erase({accounts_[flow].inflated, flow});
    by_head_.erase({accounts_[flow].head, flow});
  }
  [[nodiscard]] double inflation(TimePoint now) const {
    if (options_.half_life <= Duration{}) return 1;
    return std::exp2(std::max(0.0, to_seconds(now - epoch_) / to_seconds(options_.half_life)));
  }
  void add(FlowId flow, double tokens, TimePoint now) {
    if (epoch_ == TimePoint{}) epoch_ = now;
    if (inflation(now) > std::exp2(kHalvingsKept)) rebase(now);
    Account& account = account_of(flow);
    if (account.active) remove(flow);
    account.inflated += tokens * inflation(now);
    if (account.active) insert(flow);
  }
  void rebase(TimePoint now) {
    const double factor = inflation(now);
    by_service_.clear();
    by_head_.clear();
    for (FlowId flow = 0; flow < accounts_.size(); ++flow) {
      accounts_[flow].inflated /= factor;
      if (accounts_[flow].active) insert(flow);
    }
    epoch_ = now;
  }

  const ProgramAwareFairness::Options options_;
  std::vector<Account> accounts_;  // by flow
  std::set<std::pair<double, FlowId>> by_service_;
  std::set<std::pair<TimePoint, FlowId>> by_head_;
  TimePoint epoch_{};
};

/// The threshold algorithm of Fagin et al. ("Optimal aggregation algorithms for middleware", PODS 2001): no flow that
/// neither list has shown yet can be better than one with the last service and the last wait shown.
FlowId Index::pick(TimePoint /*now*/) {
  const double least = by_service_.begin()->first;
  const double most = by_service_.rbegin()->first;
  const TimePoint oldest = by_head_.begin()->first;
  const TimePoint newest = by_head_.rbegin()->first;
  const auto score = [&](double inflated, TimePoint head) {
    const double served = most > least ? (inflated - least) / (most - least) : 0;
    const double waited = newest > oldest ? to_seconds(newest - head) / to_seconds(newest - oldest) : 0;
    return options_.service_weight * (1 - served) + options_.wait_weight * waited;
  };
  std::pair<double, FlowId> best{-1, 0};
  const auto look_at = [&](FlowId flow) {
    const double found = score(accounts_[flow].inflated, accounts_[flow].head);
    if (found > best.first || (found == best.first && flow < best.second)) best = {found, flow};
  };
  auto served = by_service_.begin();
  auto waiting = by_head_.begin();
  for (int i = 0; i < ProgramAwareFairness::kSearched && served != by_service_.end(); ++i, ++served, ++waiting) {
    look_at(served->second);
    look_at(waiting->second);
    if (best.first >= score(served->first, waiting->first)) break;
  }
  return best.second;
}

}  // namespace

std::unique_ptr<FairnessIndex> ProgramAwareFairness::make_index() const { return std::make_unique<Index>(options_); }

}  // namespace llmd::flow
