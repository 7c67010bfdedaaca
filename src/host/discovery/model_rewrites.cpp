#include "discovery/model_rewrites.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace llmd::discovery {

bool ModelRewrites::put(InferenceModelRewrite rewrite) {
  if (rewrites_.size() == kCountMax && !rewrites_.contains(rewrite.name)) return false;
  std::string name = rewrite.name;
  rewrites_.insert_or_assign(std::move(name), std::move(rewrite));
  return true;
}

void ModelRewrites::remove(std::string_view name) {
  if (const auto found = rewrites_.find(name); found != rewrites_.end()) rewrites_.erase(found);
}

void ModelRewrites::clear() noexcept {
  rewrites_.clear();
  exact_.clear();
  generic_.reset();
}

void ModelRewrites::index() {
  std::vector<const InferenceModelRewrite*> oldest_first;
  for (const auto& [name, rewrite] : rewrites_) oldest_first.push_back(&rewrite);
  std::ranges::sort(oldest_first, [](const auto* a, const auto* b) {
    return std::tie(a->created, a->name) < std::tie(b->created, b->name);
  });
  exact_.clear();
  generic_.reset();
  for (const InferenceModelRewrite* rewrite : oldest_first) {
    for (std::size_t i = 0; i < rewrite->rules.size(); ++i) {
      const RewriteRule& rule = rewrite->rules[i];
      if (rule.targets.empty()) continue;
      if (rule.models.empty() && !generic_) generic_ = Place{.rewrite = rewrite->name, .rule = i};
      for (const std::string& model : rule.models)
        exact_.try_emplace(model, Place{.rewrite = rewrite->name, .rule = i});
    }
  }
}

const ModelRewrites::Place* ModelRewrites::place_of(std::string_view model) const {
  if (const auto found = exact_.find(model); found != exact_.end()) return &found->second;
  return generic_ ? &*generic_ : nullptr;
}

std::optional<ModelRewrites::Choice> ModelRewrites::choose(std::string_view model, Rng& chance) const {
  const Place* place = place_of(model);
  if (place == nullptr) return std::nullopt;
  const InferenceModelRewrite& rewrite = rewrites_.find(place->rewrite)->second;
  const std::vector<RewriteTarget>& targets = rewrite.rules[place->rule].targets;
  std::uint64_t total = 0;
  for (const RewriteTarget& target : targets) total += target.weight.value_or(0);
  if (total == 0) return Choice{.rewrite = rewrite.name, .model = targets[chance.below(targets.size())].model};
  std::uint64_t left = chance.below(total);
  for (const RewriteTarget& target : targets) {
    const std::uint64_t weight = target.weight.value_or(0);
    if (left < weight) return Choice{.rewrite = rewrite.name, .model = target.model};
    left -= weight;
  }
  return std::nullopt;  // not reached: `left` is below the sum
}

}  // namespace llmd::discovery
