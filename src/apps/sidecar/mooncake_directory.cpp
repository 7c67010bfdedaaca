#include "apps/sidecar/mooncake_directory.h"

#include <algorithm>

#include "api/openai/body_edits.h"
#include "api/openai/first_choice.h"

namespace llmd::sidecar {

const MooncakeRank* MooncakeDirectory::find(const std::string& pod, Rng& rng, TimePoint now) const {
  const auto found = pods_.find(pod);
  if (found == pods_.end() || found->second.until <= now) return nullptr;
  return &found->second.ranks[rng.below(found->second.ranks.size())];
}

void MooncakeDirectory::put(const std::string& pod, std::vector<MooncakeRank> ranks, TimePoint now) {
  if (ranks.empty()) return;
  if (pods_.size() >= kPodsMax) std::erase_if(pods_, [now](const auto& item) { return item.second.until <= now; });
  if (pods_.size() >= kPodsMax) pods_.clear();
  pods_[pod] = {.ranks = std::move(ranks), .until = now + kFreshFor};
}

Result<std::vector<MooncakeRank>> read_mooncake_ranks(std::string json) {
  std::vector<MooncakeRank> ranks;
  const auto members = openai::raw_members(json);
  if (!members) return fail(ErrorCode::kProtocol, "the bootstrap server's answer is no JSON object");
  for (const openai::RawMember& member : *members) {
    std::string inner{member.value};
    const auto id = openai::raw_member(inner, "engine_id");
    if (!id || !*id) continue;
    if (auto text = openai::unquoted(**id)) ranks.push_back({.rank = member.key, .engine_id = *std::move(text)});
  }
  if (ranks.empty()) return fail(ErrorCode::kProtocol, "the bootstrap server's answer names no engine");
  return ranks;
}

}  // namespace llmd::sidecar
