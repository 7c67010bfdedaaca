#include "scheduling/screeners/rollout_screener.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <set>

#include "base/hash.h"
#include "scheduling/filters/keep_if.h"
#include "scheduling/header_name.h"

namespace llmd::scheduling {
namespace {

using Gating = RolloutScreener::Gating;
using HeaderSelector = RolloutScreener::HeaderSelector;

constexpr std::string_view kType = "disaggregatedset-rollout-screener";
constexpr std::array<std::string_view, 2> kSelectorModes{"strict", "prefer"};
constexpr std::array<std::string_view, 3> kGatingModes{"disabled", "sum", "max-role"};  // as Gating counts
constexpr ParameterSpec required(std::string_view name, std::string_view help) {
  return {.name = name, .type = ParameterType::kText, .help = help, .required = true};
}
constexpr std::array kSelector{
    required("name", "for people"), required("headerName", "the header of requests and answers"),
    required("labelKey", "the endpoints' label"),
    ParameterSpec{.name = "mode",
                  .type = ParameterType::kText,
                  .choices = kSelectorModes,
                  .help = "strict: only endpoints with the header's value; prefer: the answer tells the label, and "
                          "header-label-affinity-scorer prefers",
                  .required = true}};
constexpr std::array kParameters{
    required("scope.labelSelector", "the pods that count, as kubectl writes it: name=set,tier in (a,b)"),
    ParameterSpec{.name = "headerSelectors",
                  .type = ParameterType::kObjectList,
                  .help = "headers that choose by label",
                  .fields = kSelector},
    ParameterSpec{.name = "revisionGating.mode",
                  .type = ParameterType::kText,
                  .choices = kGatingModes,
                  .help = "a revision's share: by its endpoints of all roles (sum), of the most frequent role "
                          "(max-role); disabled: revisions are not looked at",
                  .required = true},
    ParameterSpec{.name = "revisionGating.revisionLabelKey",
                  .type = ParameterType::kText,
                  .text = "disaggregatedset.x-k8s.io/revision",
                  .help = "label of the revision"},
    ParameterSpec{.name = "revisionGating.roleLabelKey",
                  .type = ParameterType::kText,
                  .text = "disaggregatedset.x-k8s.io/role",
                  .help = "label of the role"},
    ParameterSpec{.name = "revisionGating.requireRoles.values",
                  .type = ParameterType::kTextList,
                  .help = "roles that a revision must have ready, with sum and max-role; 1 to 8"}};

std::unexpected<Error> invalid(std::string_view what, std::string hint = {}) {
  return fail(ErrorCode::kConfigInvalid, fmt::format("{}: {}", kType, what), std::move(hint));
}

Result<std::vector<HeaderSelector>> read_selectors(const ParameterReader& parameters) {
  std::vector<HeaderSelector> selectors;
  std::set<std::string> names;
  std::set<std::string> headers;
  for (const ParameterReader& each : parameters.objects("headerSelectors")) {
    HeaderSelector selector{.name = each.text("name"),
                            .header = header_name(each.text("headerName")),
                            .label = each.text("labelKey"),
                            .strict = each.text("mode") == "strict"};
    const std::size_t index = selectors.size();
    for (const auto& [field, text] : {std::pair<std::string_view, std::string_view>{"name", selector.name},
                                      {"headerName", selector.header},
                                      {"labelKey", selector.label}}) {
      if (text.empty()) return invalid(fmt::format("headerSelectors[{}].{} is empty", index, field));
    }
    if (!names.insert(selector.name).second)
      return invalid(fmt::format("two headerSelectors are named \"{}\"", selector.name.substr(0, 64)));
    if (!headers.insert(selector.header).second)
      return invalid(fmt::format("two headerSelectors have headerName \"{}\"", selector.header.substr(0, 64)));
    selectors.push_back(std::move(selector));
  }
  return selectors;
}

Result<TextList> read_roles(const ParameterReader& parameters) {
  TextList roles = parameters.texts("revisionGating.requireRoles.values");
  if (roles.empty() || roles.size() > RolloutScreener::kRolesMax) {
    return invalid(fmt::format("revisionGating.requireRoles.values has {} roles; expected 1 to {}", roles.size(),
                               RolloutScreener::kRolesMax),
                   "for example [prefill, decode]");
  }
  std::set<std::string_view> seen;
  for (const std::string& role : roles) {
    if (role.empty()) return invalid("revisionGating.requireRoles.values has an empty role");
    if (!seen.insert(role).second)
      return invalid(fmt::format("revisionGating.requireRoles.values has \"{}\" twice", role.substr(0, 64)));
  }
  return roles;
}

MadePlugin make(const ParameterReader& parameters) {
  RolloutScreener::Options options;
  const std::string scope = parameters.text("scope.labelSelector");
  if (without_blanks(scope).empty()) return invalid("scope.labelSelector is empty");
  auto parsed = parse_label_selector(scope);
  if (!parsed) return invalid(fmt::format("scope.labelSelector: {}", parsed.error().what), parsed.error().hint);
  options.scope = *std::move(parsed);
  LLMD_TRY(options.selectors, read_selectors(parameters));
  const auto gating = std::ranges::find(kGatingModes, parameters.text("revisionGating.mode")) - kGatingModes.begin();
  options.gating = static_cast<Gating>(gating);
  const auto label = [&](std::string_view name) {
    std::string text = parameters.text(name);
    return text.empty() ? std::string{ParameterReader{kParameters, Parameters{}}.text(name)} : text;
  };
  options.revision_label = label("revisionGating.revisionLabelKey");
  options.role_label = label("revisionGating.roleLabelKey");
  if (options.gating != Gating::kDisabled) {
    LLMD_TRY(options.roles, read_roles(parameters));
  }
  return std::make_unique<const RolloutScreener>(std::move(options));
}

bool may_serve(EndpointHealth health) noexcept {
  return health != EndpointHealth::kDown && health != EndpointHealth::kDraining;
}

std::string_view label_of(const Endpoint& endpoint, const std::string& key) {
  const auto label = endpoint.labels.find(key);
  return label == endpoint.labels.end() ? std::string_view{} : std::string_view{label->second};
}

}  // namespace

constinit const PluginSpec RolloutScreener::kSpec{
    .type = kType,
    .kind = PluginKind::kScreener,
    .help = "keeps a request within one revision of a rollout",
    .parameters = kParameters,
    .make = make,
    .stability = Stability::kAlpha,
    .inputs = "labels; request headers",
    .no_data = "an endpoint without the labels gets no requests",
};

// What an endpoint's FixedValue means here: low is 1 if it is in the scope, ids[0] is a hash of its revision (0: it has
// none), ids[1] the place of its role among the required ones, from 1 (0: another).
FixedValue RolloutScreener::fixed_value(const Endpoint& endpoint) const {
  FixedValue value;
  const bool counts = std::ranges::all_of(options_.scope, [&](const auto& each) { return each.holds(endpoint); });
  const std::string_view revision = label_of(endpoint, options_.revision_label);
  const auto role = std::ranges::find(options_.roles, label_of(endpoint, options_.role_label));
  value.low = counts ? 1.0F : 0.0F;
  value.ids[0] = revision.empty() ? 0 : xxh64(revision) | 1U;
  value.ids[1] = role == options_.roles.end() ? 0 : static_cast<std::uint64_t>(role - options_.roles.begin()) + 1;
  return value;
}

struct RolloutScreener::Revision {
  std::uint64_t id = 0;
  std::array<std::uint32_t, kRolesMax> endpoints{};  // by role
  bool complete = false;                             // it has all roles
  bool candidate = false;                            // one of its endpoints is a candidate
  EndpointIndex example = 0;                         // one of its endpoints
  std::uint64_t weight = 0;                          // 0 unless complete
};

/// The revisions of a snapshot, in the order of its endpoints. On the stack: nothing is allocated.
class RolloutScreener::Revisions {
 public:
  Revisions(const Options& options, const PluginInput& input) noexcept {
    for (EndpointIndex i = 0; i < input.endpoints.size(); ++i) {
      const FixedValue& fixed = input.fixed[i];
      if (fixed.low == 0 || fixed.ids[0] == 0 || fixed.ids[1] == 0 || !may_serve(input.endpoints[i].health)) continue;
      if (Revision* revision = add(fixed.ids[0], i); revision != nullptr) ++revision->endpoints[fixed.ids[1] - 1];
    }
    weigh(options);
  }
  /// Null: no endpoint that counts has it.
  [[nodiscard]] Revision* find(std::uint64_t id) noexcept {
    const auto found = std::find_if(begin(), end(), [&](const Revision& each) { return each.id == id; });
    return found == end() ? nullptr : found;
  }
  [[nodiscard]] std::span<const Revision> all() const noexcept { return std::span{list_}.first(count_); }
  /// One of those that are complete and have candidates, by weight; null if there is none. `chance` is in [0, 1).
  [[nodiscard]] const Revision* draw(double chance) const noexcept {
    double total = 0;
    for (const Revision& each : *this) total += each.candidate ? static_cast<double>(each.weight) : 0.0;
    const double drawn = chance * total;
    double sum = 0;
    const Revision* chosen = nullptr;
    for (const Revision& each : *this) {
      if (!each.candidate || each.weight == 0) continue;
      chosen = &each;  // the last one, if rounding lets the sum stay below
      sum += static_cast<double>(each.weight);
      if (drawn < sum) break;
    }
    return chosen;
  }

 private:
  [[nodiscard]] Revision* begin() noexcept { return list_.data(); }
  [[nodiscard]] Revision* end() noexcept { return list_.data() + count_; }
  [[nodiscard]] const Revision* begin() const noexcept { return list_.data(); }
  [[nodiscard]] const Revision* end() const noexcept { return list_.data() + count_; }

  Revision* add(std::uint64_t id, EndpointIndex example) noexcept {
    if (Revision* known = find(id); known != nullptr) return known;
    if (count_ == list_.size()) return nullptr;
    list_[count_] = {.id = id, .example = example};
    return &list_[count_++];
  }

  void weigh(const Options& options) noexcept {
    const std::size_t roles = options.roles.size();
    std::array<std::uint64_t, kRolesMax> totals{};
    for (Revision& each : *this) {
      const auto counts = std::span{each.endpoints}.first(roles);
      each.complete = std::ranges::find(counts, 0U) == counts.end();
      for (std::size_t role = 0; each.complete && role < roles; ++role) totals[role] += counts[role];
    }
    const auto dominant =
        std::ranges::max_element(std::span{totals}.first(roles)) - std::span{totals}.first(roles).begin();
    for (Revision& each : *this) {
      if (!each.complete) continue;
      if (options.gating == Gating::kMaxRole) {
        each.weight = each.endpoints[static_cast<std::size_t>(dominant)];
      } else {
        for (const std::uint32_t endpoints : each.endpoints) each.weight += endpoints;
      }
    }
  }

  std::array<Revision, kRevisionsMax> list_{};
  std::size_t count_ = 0;
};

/// What people are shown. Thread-safe.
class RolloutScreener::Memory final : public PluginMemory {
 public:
  explicit Memory(std::string revision_label) : revision_label_{std::move(revision_label)} {}

  /// No allocation; copies only if the weights are others than before.
  void note(std::span<const Revision> revisions, std::span<const EndpointState> endpoints) noexcept {
    const std::scoped_lock lock{mutex_};
    const auto same = [](const Revision& now, const Shown& before) {
      return now.id == before.id && now.weight == before.weight;
    };
    if (std::ranges::equal(revisions, std::span{shown_}.first(count_), same)) return;
    count_ = revisions.size();
    for (std::size_t i = 0; i < shown_.size(); ++i) {
      shown_[i] =
          i < count_ ? Shown{revisions[i].id, revisions[i].weight, endpoints[revisions[i].example].endpoint} : Shown{};
    }
  }
  /// The request has no endpoint because of a strict header; told once for each of its profiles.
  void note_no_match(std::uint64_t request) noexcept {
    const std::scoped_lock lock{mutex_};
    if (request != no_match_for_) ++no_matches_;
    no_match_for_ = request;
  }
  [[nodiscard]] PluginState state() const override {
    const std::scoped_lock lock{mutex_};
    PluginState state{.figures = {{"strictHeaderNoMatch", static_cast<double>(no_matches_)}}, .items_are = "revisions"};
    double total = 0;
    for (const Shown& each : shown_) total += static_cast<double>(each.weight);
    for (const Shown& each : std::span{shown_}.first(count_)) {
      state.items.push_back({std::string{label_of(*each.example, revision_label_)},
                             {{"share", total > 0 ? static_cast<double>(each.weight) / total : 0}}});
    }
    return state;
  }

 private:
  struct Shown {
    std::uint64_t id = 0;
    std::uint64_t weight = 0;
    std::shared_ptr<const Endpoint> example{};
  };
  const std::string revision_label_;
  mutable std::mutex mutex_;  // guards what follows
  std::array<Shown, kRevisionsMax> shown_{};
  std::size_t count_ = 0;
  std::uint64_t no_matches_ = 0;
  std::uint64_t no_match_for_ = 0;  // a hash of the last request that found none
};

std::unique_ptr<PluginMemory> RolloutScreener::make_memory() const {
  return std::make_unique<Memory>(options_.revision_label);
}

bool RolloutScreener::chooses_by_header(const PluginInput& input) const noexcept {
  return std::ranges::any_of(options_.selectors, [&](const HeaderSelector& each) {
    return each.strict && !input.request.header(each.header).empty();
  });
}

std::size_t RolloutScreener::keep_revision(const PluginInput& input,
                                           std::span<EndpointIndex> candidates) const noexcept {
  Revisions revisions{options_, input};
  if (input.memory != nullptr) static_cast<Memory*>(input.memory)->note(revisions.all(), input.endpoints);
  for (const EndpointIndex i : candidates) {
    if (Revision* revision = revisions.find(input.fixed[i].ids[0]); revision != nullptr) revision->candidate = true;
  }
  const Revision* chosen = chooses_by_header(input) ? nullptr : revisions.draw(input.decision_chance);
  return keep_if(candidates, [&](EndpointIndex i) {
    const Revision* revision = revisions.find(input.fixed[i].ids[0]);
    return revision != nullptr && revision->complete && (chosen == nullptr || chosen == revision);
  });
}

std::size_t RolloutScreener::filter(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept {
  if (gates()) candidates = candidates.first(keep_revision(input, candidates));
  for (const HeaderSelector& each : options_.selectors) {
    const std::string_view wanted = each.strict ? input.request.header(each.header) : std::string_view{};
    if (wanted.empty() || candidates.empty()) continue;
    candidates = candidates.first(keep_if(
        candidates, [&](EndpointIndex i) { return label_of(*input.endpoints[i].endpoint, each.label) == wanted; }));
    if (candidates.empty() && input.memory != nullptr)
      static_cast<Memory*>(input.memory)->note_no_match(xxh64(input.request.request_id));
  }
  return candidates.size();
}

std::string RolloutScreener::reason(const PluginInput& input, EndpointIndex endpoint) const {
  const Endpoint& seen = *input.endpoints[endpoint].endpoint;
  for (const HeaderSelector& each : options_.selectors) {
    const std::string_view wanted = each.strict ? input.request.header(each.header) : std::string_view{};
    const std::string_view label = label_of(seen, each.label);
    if (wanted.empty() || label == wanted) continue;
    return fmt::format("{} is {}; header {} wants {}", each.label, label.empty() ? "absent" : label, each.header,
                       wanted.substr(0, 64));
  }
  const std::string_view name = label_of(seen, options_.revision_label);
  if (name.empty()) return fmt::format("{} is absent", options_.revision_label);
  Revisions revisions{options_, input};
  const Revision* revision = revisions.find(input.fixed[endpoint].ids[0]);
  for (std::size_t role = 0; role < options_.roles.size(); ++role) {
    if (revision != nullptr && revision->endpoints[role] > 0) continue;
    return fmt::format("revision {} has no {} that may serve", name, options_.roles[role]);
  }
  return fmt::format("another revision than {} was drawn", name);
}

void RolloutScreener::answer(const AnsweredRequest& answered, std::vector<Header>& headers) const {
  for (const HeaderSelector& each : options_.selectors) {
    const std::string_view label = label_of(answered.endpoint, each.label);
    if (!label.empty()) headers.push_back({each.header, std::string{label}});
  }
}

void RolloutScreener::headers_read(std::vector<std::string>& names) const {
  for (const HeaderSelector& each : options_.selectors) {
    if (each.strict) names.push_back(each.header);
  }
}

}  // namespace llmd::scheduling
