#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/sidecar/options.h"
#include "base/rng.h"
#include "net/address.h"
#include "net/http.h"
#include "pd/allow_list.h"

namespace llmd::sidecar {

/// What the headers of a request ask of the sidecar, and who may be asked for it.
struct RequestPlan {
  net::Headers headers;  // that all legs get: the client's that go on, without those that are read here
  std::string request_id;
  std::optional<net::Address> prefill;
  std::string prefill_denied;     // the target that is not on the list; nothing else is to be done then
  bool prefill_unusable = false;  // named, but no address
  std::vector<net::Address> encoders;
  std::optional<net::Address> kv_source;
  std::optional<unsigned> rank;  // of this pod, by x-data-parallel-host-port
  bool rank_unknown = false;     // named, and none of this pod's
  unsigned dropped = 0;          // encoders and sources that are not allowed, or no addresses
};

struct PlanContext {
  const Options& options;
  const pd::AllowList* allowed = nullptr;  // null: everyone
  unsigned rank = 0;                       // whose port it came to
  Rng& rng;
};

/// Pure. Hosts are checked against the list, whatever their port. A KV source that cannot be used is no error.
[[nodiscard]] RequestPlan make_plan(const net::Request& request, const PlanContext& context);

/// Whether requests to this path (its escapes undone, as servers do) generate, so that they may be split.
[[nodiscard]] bool is_split_path(std::string_view path) noexcept;

/// The peer-to-peer port of the pod whose API is at `target`: rank 0's, plus the rank that its port is of.
[[nodiscard]] std::uint16_t p2p_port_of(const net::Address& target, const Options& options) noexcept;

}  // namespace llmd::sidecar
