#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "scheduling/filters/label_selector.h"
#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Keeps a request within one revision of a rollout (llm-d's disaggregatedset-rollout-screener): prefill and decode
/// pods of different revisions may not understand each other's KV. Runs before all other filters of each profile, with
/// the same choice in all profiles of a decision.
///
/// With gating, a revision counts while each required role has an endpoint that may serve. One of them is drawn by its
/// share, unless a request header chooses strictly. Nothing is left: the request has no endpoint; no other revision
/// steps in. Counted are the endpoints of the snapshot that match the scope; of a pod with several ports each.
class RolloutScreener final : public Filter {
 public:
  static const PluginSpec kSpec;
  static constexpr std::size_t kRolesMax = 8;       // required ones
  static constexpr std::size_t kRevisionsMax = 32;  // at a time; further ones get no requests

  enum class Gating : std::uint8_t {
    kDisabled,  // header selectors alone
    kSum,       // a revision's weight: its endpoints of all required roles
    kMaxRole,   // its endpoints of the role that has most in all revisions that count; the first of equals
  };
  struct HeaderSelector {
    std::string name;    // for people
    std::string header;  // of requests and of answers, in lower case
    std::string label;
    bool strict = false;  // endpoints with another value are dropped; else the answer is stamped only
  };
  struct Options {
    std::vector<LabelRequirement> scope{};
    std::vector<HeaderSelector> selectors{};
    Gating gating = Gating::kDisabled;
    std::string revision_label{};
    std::string role_label{};
    std::vector<std::string> roles{};  // required; at most kRolesMax
  };
  explicit RolloutScreener(Options options) : options_{std::move(options)} {}

  [[nodiscard]] bool has_fixed_value() const noexcept override { return gates(); }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override;
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;
  /// The labels of the endpoint that served, under the selectors' headers.
  void answer(const AnsweredRequest& answered, std::vector<Header>& headers) const override;
  void headers_read(std::vector<std::string>& names) const override;
  /// Remembers for people: the share of each revision as of the last decision, and how many requests a strict header
  /// left without an endpoint.
  [[nodiscard]] std::unique_ptr<PluginMemory> make_memory() const override;

 private:
  struct Revision;
  class Revisions;
  class Memory;
  [[nodiscard]] bool gates() const noexcept { return options_.gating != Gating::kDisabled; }
  [[nodiscard]] bool chooses_by_header(const PluginInput& input) const noexcept;
  [[nodiscard]] std::size_t keep_revision(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept;

  Options options_;
};

}  // namespace llmd::scheduling
