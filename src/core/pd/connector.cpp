#include "pd/connector.h"

#include <array>
#include <utility>

namespace llmd::pd {
namespace {

constexpr std::array<std::pair<std::string_view, Connector>, 5> kNames{{
    {"nixlv2", Connector::kNixl},
    {"shared-storage", Connector::kSharedStorage},
    {"sglang", Connector::kSglang},
    {"mooncake", Connector::kMooncake},
    {"offloading", Connector::kOffloading},
}};

}  // namespace

std::optional<Connector> connector_of(std::string_view name) noexcept {
  for (const auto& [known, connector] : kNames) {
    if (known == name) return connector;
  }
  return std::nullopt;
}

std::string_view connector_name(Connector connector) noexcept {
  for (const auto& [name, known] : kNames) {
    if (known == connector) return name;
  }
  return "";
}

}  // namespace llmd::pd
