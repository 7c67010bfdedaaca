#include "model/link_table.h"

#include <utility>

#include "base/hash.h"

namespace llmd {

LinkTable::LinkTable(std::vector<Entry> entries, std::size_t links_max) {
  for (Entry& entry : entries) {
    const auto known = links_.find(PairView{entry.from, entry.to});
    if (known != links_.end()) {
      known->second = entry.link;
    } else if (links_.size() < links_max) {
      links_.emplace(Pair{std::move(entry.from), std::move(entry.to)}, entry.link);
    } else {
      ++dropped_;
    }
  }
}

const Link* LinkTable::find(std::string_view from, std::string_view to) const noexcept {
  const auto found = links_.find(PairView{from, to});
  return found == links_.end() ? nullptr : &found->second;
}

// The first name seeds the second, so that ("ab", "c") and ("a", "bc") differ.
std::size_t LinkTable::Hash::operator()(PairView pair) const noexcept { return xxh64(pair.to, xxh64(pair.from)); }

}  // namespace llmd
