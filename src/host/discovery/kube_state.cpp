#include "discovery/kube_state.h"

#include <fmt/format.h>

#include <utility>

namespace llmd::discovery {
namespace {

bool is_old(KubeResource resource) noexcept {
  return resource == KubeResource::kOldPool || resource == KubeResource::kOldObjectives ||
         resource == KubeResource::kOldRewrites;
}

bool is_about_requests(KubeResource resource) noexcept {
  return resource != KubeResource::kPool && resource != KubeResource::kOldPool && resource != KubeResource::kPods;
}

Error too_many(std::string_view what) {
  return {.code = ErrorCode::kConfigInvalid, .what = fmt::format("more than {} {}", ModelRewrites::kCountMax, what)};
}

}  // namespace

KubeState::KubeState(KubeStateOptions options) : options_{std::move(options)}, endpoints_{options_.addresses} {
  endpoints_.set_pool(options_.fixed_pool);
}

bool KubeState::note_fault(const Error& error) {
  ++unreadable_;
  last_fault_ = error.to_string();
  return false;
}

void KubeState::put_pool(KubeResource resource, std::optional<InferencePool> pool) {
  if (pool && pool->leaving) pool.reset();
  (resource == KubeResource::kPool ? pool_ : old_pool_) = std::move(pool);
  endpoints_.set_pool(old_pool_ ? old_pool_ : pool_);
}

void KubeState::clear(KubeResource resource) {
  RequestRules& rules = is_old(resource) ? old_rules_ : rules_;
  switch (resource) {
    case KubeResource::kPool:
    case KubeResource::kOldPool: return put_pool(resource, std::nullopt);
    case KubeResource::kPods: return endpoints_.replace({});
    case KubeResource::kObjectives:
    case KubeResource::kOldObjectives: return rules.objectives.clear();
    case KubeResource::kRewrites:
    case KubeResource::kOldRewrites: return rules.rewrites.clear();
  }
}

bool KubeState::put(KubeResource resource, std::string_view object) {
  RequestRules& rules = is_old(resource) ? old_rules_ : rules_;
  switch (resource) {
    case KubeResource::kPool:
    case KubeResource::kOldPool: {
      auto pool = read_pool(object);
      if (!pool) return note_fault(pool.error());
      put_pool(resource, *std::move(pool));
      return true;
    }
    case KubeResource::kPods: {
      auto pod = read_pod(object);
      if (!pod) return note_fault(pod.error());
      endpoints_.put(*std::move(pod));
      return true;
    }
    case KubeResource::kObjectives:
    case KubeResource::kOldObjectives: {
      const auto objective = read_objective(object);
      if (!objective) return note_fault(objective.error());
      rules.objectives.remove(objective->name);
      if (objective->leaving || objective->pool != options_.pool) return true;
      return rules.objectives.put(*objective) || note_fault(too_many("InferenceObjectives"));
    }
    case KubeResource::kRewrites:
    case KubeResource::kOldRewrites: {
      auto rewrite = read_rewrite(object);
      if (!rewrite) return note_fault(rewrite.error());
      rules.rewrites.remove(rewrite->name);
      if (rewrite->leaving || rewrite->pool != options_.pool) return true;
      return rules.rewrites.put(*std::move(rewrite)) || note_fault(too_many("InferenceModelRewrites"));
    }
  }
  return false;
}

void KubeState::replaced(KubeResource resource, const std::vector<KubeObject>& objects) {
  seen(resource) = {.listed = true, .there = true};
  rules_changed_ = rules_changed_ || is_about_requests(resource);
  if (resource == KubeResource::kPods) {
    std::vector<Pod> pods;
    pods.reserve(objects.size());
    for (const KubeObject& object : objects) {
      if (auto pod = read_pod(object.json))
        pods.push_back(*std::move(pod));
      else
        note_fault(pod.error());
    }
    return endpoints_.replace(std::move(pods));
  }
  if (objects.empty() || is_about_requests(resource)) clear(resource);
  for (const KubeObject& object : objects) upserted(resource, object);
}

void KubeState::upserted(KubeResource resource, const KubeObject& object) {
  seen(resource).there = true;
  rules_changed_ = rules_changed_ || is_about_requests(resource);
  if (!put(resource, object.json)) deleted(resource, object.name_space, object.name);
}

void KubeState::deleted(KubeResource resource, std::string_view name_space, std::string_view name) {
  rules_changed_ = rules_changed_ || is_about_requests(resource);
  RequestRules& rules = is_old(resource) ? old_rules_ : rules_;
  switch (resource) {
    case KubeResource::kPool:
    case KubeResource::kOldPool: return put_pool(resource, std::nullopt);
    case KubeResource::kPods: return endpoints_.remove(name_space, name);
    case KubeResource::kObjectives:
    case KubeResource::kOldObjectives: return rules.objectives.remove(name);
    case KubeResource::kRewrites:
    case KubeResource::kOldRewrites: return rules.rewrites.remove(name);
  }
}

void KubeState::absent(KubeResource resource) {
  // There is no server without pods: one that does not show them has not loaded its roles yet, or we may not see them.
  if (resource == KubeResource::kPods) return;
  if (seen(resource).listed && !seen(resource).there) return;
  seen(resource) = {.listed = true, .there = false};
  rules_changed_ = rules_changed_ || is_about_requests(resource);
  clear(resource);
}

std::shared_ptr<const RequestRules> KubeState::take_rules() {
  if (!std::exchange(rules_changed_, false)) return nullptr;
  auto made = std::make_shared<RequestRules>();
  made->objectives = seen(KubeResource::kObjectives).there ? rules_.objectives : old_rules_.objectives;
  made->rewrites = seen(KubeResource::kRewrites).there ? rules_.rewrites : old_rules_.rewrites;
  made->rewrites.index();
  return made;
}

bool KubeState::ignores_old_group() const noexcept {
  const auto both = [this](KubeResource newer, KubeResource older) { return seen(newer).there && seen(older).there; };
  return both(KubeResource::kObjectives, KubeResource::kOldObjectives) ||
         both(KubeResource::kRewrites, KubeResource::kOldRewrites);
}

}  // namespace llmd::discovery
