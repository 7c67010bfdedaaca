#include "apps/gateway/routed_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace llmd::gateway {
namespace {

/// The models of each pool's endpoints, in their order.
using ServedByPool = std::vector<std::vector<ServedModel>>;

ServedByPool served_by_pool(const RouteView& view, TimePoint now) {
  ServedByPool served;
  for (ServingPool* pool : view.pools) {
    auto& models = served.emplace_back();
    for (const EndpointState& state : pool->plane->pool().view(now)->snapshot.endpoints) {
      for (const ServedModel& model : state.endpoint->models) {
        if (std::ranges::find(models, model.id, &ServedModel::id) == models.end()) models.push_back(model);
      }
    }
  }
  return served;
}

/// Adds one that may serve the name.
void join(std::vector<openai::ModelCard>& cards, std::string id, const std::string& pool, const ServedModel* model) {
  auto card = std::ranges::find(cards, id, &openai::ModelCard::id);
  if (card == cards.end()) {
    cards.push_back({.id = std::move(id)});
    card = std::prev(cards.end());
    if (!pool.empty()) card->owner = pool;
  } else if (!pool.empty() && fmt::format(",{},", card->owner).find(fmt::format(",{},", pool)) == std::string::npos) {
    card->owner += fmt::format(",{}", pool);
  }
  if (model == nullptr) return;
  if (card->created == 0) card->created = model->created;
  if (model->context_tokens > 0 && (card->context_tokens == 0 || model->context_tokens < card->context_tokens))
    card->context_tokens = model->context_tokens;
}

void add_exact(const modelroute::Route& route, const RouteView& view, const ServedByPool& served,
               std::vector<openai::ModelCard>& cards) {
  const modelroute::Match& match = route.match;
  const std::string id = match.version.empty() ? match.model : fmt::format("{}@{}", match.model, match.version);
  for (const modelroute::Target& target : route.targets) {
    const auto& models = served[target.pool];
    const std::string& name = target.model.empty() ? match.model : target.model;
    const auto found = std::ranges::find(models, name, &ServedModel::id);
    join(cards, id, view.pools[target.pool]->name, found == models.end() ? nullptr : &*found);
  }
}

void add_matching(const modelroute::Route& route, const RouteView& view, const ServedByPool& served,
                  std::vector<openai::ModelCard>& cards) {
  std::string_view beginning = route.match.model;
  if (!beginning.empty()) beginning.remove_suffix(1);
  for (const modelroute::Target& target : route.targets) {
    if (!target.model.empty() || !route.match.version.empty()) continue;  // it has no names of its own
    for (const ServedModel& model : served[target.pool]) {
      if (model.id.starts_with(beginning)) join(cards, model.id, view.pools[target.pool]->name, &model);
    }
  }
}

}  // namespace

std::vector<openai::ModelCard> model_cards(const RouteView& view, TimePoint now) {
  const ServedByPool served = served_by_pool(view, now);
  std::vector<openai::ModelCard> cards;
  for (const modelroute::Route& route : view.table.routes()) {
    const std::string& model = route.match.model;
    const bool exact = !model.empty() && !model.ends_with('*');
    exact ? add_exact(route, view, served, cards) : add_matching(route, view, served, cards);
  }
  const auto first = std::ranges::find(cards, view.table.default_model(), &openai::ModelCard::id);
  if (first != cards.end()) std::rotate(cards.begin(), first, first + 1);
  return cards;
}

}  // namespace llmd::gateway
