#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "discovery/kube_objects.h"

namespace llmd::discovery {

/// What the InferenceModelRewrites of one pool say: which model a request is sent for instead of the one that it names.
/// A rule for the model comes before a rule for all; then the older rewrite, by its name where two are of one second
/// (llm-d's order is any there); then the order in the rewrite. Thread-safe to read.
class ModelRewrites {
 public:
  static constexpr std::size_t kCountMax = 4'096;  // further ones have no effect

  struct Choice {
    std::string_view rewrite;  // name of the object; both live as long as this does not change
    std::string_view model;
  };

  /// The one of that name is this from now on. False: there is no room. index() makes it count.
  bool put(InferenceModelRewrite rewrite);
  void remove(std::string_view name);
  void clear() noexcept;
  /// Puts the rules in order: after changes, before copies are read. O(rules log rules).
  void index();

  /// Nothing: no rule is for the model. One look-up; of several targets, one by its weight (none has one: any; those
  /// without count for nothing beside others).
  [[nodiscard]] std::optional<Choice> choose(std::string_view model, Rng& chance) const;
  [[nodiscard]] std::size_t size() const noexcept { return rewrites_.size(); }
  /// Each model that a rule names, on either side; some more than once.
  template <class Visit>
  void visit_models(Visit visit) const {
    for (const auto& [name, rewrite] : rewrites_) {
      for (const RewriteRule& rule : rewrite.rules) {
        for (const std::string& model : rule.models) visit(model);
        for (const RewriteTarget& target : rule.targets) visit(target.model);
      }
    }
  }

 private:
  struct Place {
    std::string rewrite;
    std::size_t rule = 0;
  };
  [[nodiscard]] const Place* place_of(std::string_view model) const;

  std::map<std::string, InferenceModelRewrite, std::less<>> rewrites_;
  std::map<std::string, Place, std::less<>> exact_;  // the first rule for each model
  std::optional<Place> generic_;
};

}  // namespace llmd::discovery
