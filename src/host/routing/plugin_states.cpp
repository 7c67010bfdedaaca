#include "routing/plugin_states.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>
#include <string_view>
#include <vector>

#include "api/openai/json_writer.h"

namespace llmd::routing {
namespace {

using openai::JsonWriter;
using scheduling::NamedPluginState;
using scheduling::PluginState;

void write_figures(std::span<const PluginState::Figure> figures, JsonWriter& json) {
  constexpr double kWholeMax = 0x1p53;
  for (const PluginState::Figure& each : figures) {
    json.key(each.name);
    if (std::trunc(each.value) == each.value && std::abs(each.value) < kWholeMax) {
      json.integer(static_cast<std::int64_t>(each.value));
    } else {
      json.number(static_cast<float>(each.value));
    }
  }
}

void write_items(const PluginState& state, JsonWriter& json) {
  std::vector<const PluginState::Item*> items;
  for (const PluginState::Item& each : state.items) items.push_back(&each);
  const auto value = [](const PluginState::Item* item) { return item->figures.empty() ? 0.0 : item->figures[0].value; };
  std::ranges::sort(items, [&](const auto* a, const auto* b) {
    return value(a) != value(b) ? value(a) > value(b) : a->name < b->name;
  });
  const std::size_t shown = std::min(items.size(), kPluginStateItemsMax);
  std::string title{state.items_are};
  title.front() = static_cast<char>(title.front() - 'a' + 'A');
  json.key(state.items_are).begin_array();
  for (const PluginState::Item* each : std::span{items}.first(shown)) {
    json.begin_object().key("name").string(each->name);
    write_figures(each->figures, json);
    json.end_object();
  }
  json.end_array();
  json.key(fmt::format("total{}", title)).integer(static_cast<std::int64_t>(items.size()));
  json.key(fmt::format("max{}", title)).integer(static_cast<std::int64_t>(kPluginStateItemsMax));
  json.key("truncated").boolean(shown < items.size());
}

void write_state(const PluginState& state, JsonWriter& json) {
  json.key("state").begin_object();
  write_figures(state.figures, json);
  if (!state.items.empty()) write_items(state, json);
  json.end_object();
}

}  // namespace

std::string plugin_states_json(std::span<const scheduling::PluginInstance> plugins,
                               std::span<const NamedPluginState> states, std::chrono::sys_seconds at) {
  struct Entry {
    std::string_view type;
    const PluginState* state = nullptr;
  };
  std::map<std::string_view, Entry> entries;
  for (const scheduling::PluginInstance& each : plugins)
    entries.emplace(each.name.empty() ? each.type : each.name, Entry{.type = each.type});
  for (const NamedPluginState& each : states) {
    const auto of_type =
        std::ranges::find_if(entries, [&](const auto& entry) { return entry.second.type == each.type; });
    if (!each.name.empty()) {
      entries.insert_or_assign(each.name, Entry{each.type, &each.state});
    } else if (of_type != entries.end()) {
      of_type->second.state = &each.state;
    } else {
      entries.insert_or_assign(each.type, Entry{each.type, &each.state});
    }
  }
  std::string out;
  JsonWriter json{out};
  const std::time_t seconds = std::chrono::system_clock::to_time_t(at);
  json.begin_object().key("timestamp").string(fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(seconds)));
  json.key("plugins").begin_object();
  for (const auto& [name, entry] : entries) {
    json.escaped_key(name).begin_object().key("type").string(entry.type);
    if (entry.state != nullptr) {
      write_state(*entry.state, json);
    } else {
      json.key("message").string("this plugin remembers nothing");
    }
    json.end_object();
  }
  json.end_object().end_object();
  return out;
}

}  // namespace llmd::routing
