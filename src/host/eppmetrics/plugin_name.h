#pragma once

#include <string>

namespace llmd::eppmetrics {

/// A configured plugin, as labels name it.
struct PluginName {
  std::string name;
  std::string type;
};

}  // namespace llmd::eppmetrics
