#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace llmd::scheduling {

/// What a plugin remembers, in figures, for people who look for the cause of something. Neither prompts nor the names
/// of sessions are in it.
struct PluginState {
  struct Figure {
    std::string_view name;  // static text, in camel case as in llm-d's states
    double value = 0;
  };
  /// Figures of one endpoint, or of one scorer.
  struct Item {
    std::string name;
    std::vector<Figure> figures{};
  };
  std::vector<Figure> figures{};
  std::string_view items_are{"endpoints"};  // what `items` are; static text
  std::vector<Item> items{};                // all of them, in any order
};

/// The state of one plugin of a configuration. The name is empty for what the scheduler keeps for all plugins of the
/// type.
struct NamedPluginState {
  std::string name{};
  std::string type{};
  PluginState state{};
};

}  // namespace llmd::scheduling
