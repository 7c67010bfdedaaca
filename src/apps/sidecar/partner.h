#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "apps/sidecar/leg.h"
#include "apps/sidecar/loop_context.h"
#include "runtime/event.h"

namespace llmd::sidecar {

/// The prefill leg of a request whose two legs are sent at once. It goes on by itself when the decode leg ends first:
/// the engine may still be sending KV. Belongs to one loop.
struct Partner {
  Partner(LoopContext& of, LegRequest request) : context{of}, leg{of.loop, std::move(request)}, done{of.loop} {}

  /// Runs the leg. `self` keeps it.
  [[nodiscard]] static Task<void> run(std::shared_ptr<Partner> self);

  [[nodiscard]] bool failed() const noexcept {
    if (!end || *end) return end && !(*end)->succeeded();
    // An answer that is longer than what is read of it is no failure: its prompt is computed.
    const bool is_long = end->error().code == ErrorCode::kBodyTooLarge;
    return !is_long || leg.status() < 200 || leg.status() > 299;
  }
  /// It is of no more use; this is no failure of the pod's.
  void give_up() {
    given_up = true;
    leg.cancel();
  }

  LoopContext& context;
  Leg leg;
  Event done;
  std::optional<Result<LegAnswer>> end;
  std::function<void()> on_failure{};  // while somebody waits for it
  std::string pod{};                   // whose engine ids are forgotten if it fails
  bool given_up = false;
};

}  // namespace llmd::sidecar
