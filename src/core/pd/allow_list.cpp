#include "pd/allow_list.h"

namespace llmd::pd {
namespace {

std::string canonical(std::string_view host) {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  std::string lower{host};
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

AllowList::AllowList(const std::vector<std::string>& hosts) {
  for (const std::string& host : hosts) hosts_.insert(canonical(host));
}

bool AllowList::contains(std::string_view host) const { return hosts_.contains(canonical(host)); }

}  // namespace llmd::pd
