// links: llmd_discovery llmd_net
// Kubernetes objects over any bytes: lines are events of a cluster, the first byte says which resource and what
// happens. No crash; what a set of endpoints is told in pieces is what it is as a whole; every endpoint has an address
// that may be one; rules that are chosen are among those that were read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "discovery/kube_state.h"
#include "net/address.h"

namespace {

using llmd::discovery::KubeObject;
using llmd::discovery::KubeResource;
using llmd::discovery::KubeState;

void apply(KubeState& state, std::string_view line) {
  if (line.empty()) return;
  const auto byte = static_cast<unsigned char>(line.front());
  line.remove_prefix(1);
  const auto resource = static_cast<KubeResource>(byte % llmd::discovery::kKubeResources);
  const KubeObject object{.name_space = "ns", .name = line.substr(0, 8), .json = line};
  switch (byte / llmd::discovery::kKubeResources % 5) {
    case 0: return state.replaced(resource, {object});
    case 1:
    case 2: return state.upserted(resource, object);
    case 3: return state.deleted(resource, "ns", line);
    default: return state.absent(resource);
  }
}

void check(KubeState& state, std::map<std::string, std::string>& endpoints) {
  const auto changes = state.take_changes();
  for (const std::string& name : changes.removed) {
    if (endpoints.erase(name) != 1) std::abort();
  }
  for (const llmd::Endpoint& endpoint : changes.put) {
    if (!llmd::net::Address::parse(endpoint.url)) std::abort();
    endpoints[endpoint.name] = endpoint.url;
  }
  if (endpoints.size() != state.endpoints().endpoints()) std::abort();
  if (!state.endpoints().pool() && !endpoints.empty()) std::abort();
  llmd::Rng chance{1};
  if (const auto rules = state.take_rules()) {
    const auto choice = rules->rewrites.choose("m", chance);
    if (choice && (choice->model.empty() || rules->rewrites.size() == 0)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text{reinterpret_cast<const char*>(data), size};
  KubeState state{{.pool = {.group = "g", .name = "p"}}};
  std::map<std::string, std::string> endpoints;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    apply(state, line);
    check(state, endpoints);
  }
  return 0;
}
