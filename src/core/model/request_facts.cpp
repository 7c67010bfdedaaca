#include "model/request_facts.h"

#include <algorithm>

namespace llmd {

std::string_view RequestFacts::header(std::string_view name) const noexcept {
  const auto found = std::ranges::find(headers, name, &Header::first);
  return found == headers.end() ? std::string_view{} : std::string_view{found->second};
}

}  // namespace llmd
