#include "routing/plugin_libraries.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <utility>

#include "telemetry/log.h"

namespace llmd::routing {
namespace {

constexpr const char* kEntry = "llmd_plugin_entry";

std::unexpected<Error> cannot_load(const std::string& path, std::string_view why) {
  return fail(ErrorCode::kConfigInvalid, fmt::format("plugin library {} cannot be loaded: {}", path, why),
              "build it against llmd_plugin_v1.h; examples/plugin shows how");
}

std::string_view last_problem() {
  const char* problem = ::dlerror();
  return problem == nullptr ? std::string_view{"unknown"} : std::string_view{problem};
}

}  // namespace

LoadedLibraries::LoadedLibraries(MetricsRegistry& metrics) : metrics_{metrics} {
  metrics.on_collect([this] { collect(); });
}

Result<scheduling::PluginLibraries::Library> LoadedLibraries::open(const std::string& path) {
  // A name without a slash would be looked for in the system's folders.
  if (path.find('/') == std::string::npos) return cannot_load(path, "the path has no slash");
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return cannot_load(path, last_problem());
  std::shared_ptr<const void> handle{library, [](void* open) { ::dlclose(open); }};
  using Entry = const llmd_plugin_v1* (*)();
  const auto entry = reinterpret_cast<Entry>(::dlsym(library, kEntry));
  if (entry == nullptr) return cannot_load(path, fmt::format("it has no {}", kEntry));
  const llmd_plugin_v1* table = entry();
  if (table == nullptr) return cannot_load(path, fmt::format("{} gives no table", kEntry));
  return Library{table, std::move(handle)};
}

void LoadedLibraries::made(const scheduling::AbiPlugin& plugin) {
  const LabelSet labels{{"plugin", plugin.type}};
  Watched watched{
      .type = plugin.type,
      .counters = plugin.counters,
      .overruns_total = &metrics_.counter("llmd_plugin_overruns_total",
                                          "Calls of plugins from libraries that took longer than their budget", labels),
      .faults_total = &metrics_.counter("llmd_plugin_faults_total",
                                        "Calls of plugins from libraries with an answer that breaks the rules", labels),
      .off = &metrics_.gauge("llmd_plugin_off", "1 for a plugin from a library that is called no more", labels)};
  const std::scoped_lock lock{mutex_};
  std::erase_if(watched_, [](const Watched& each) { return each.counters.expired(); });
  watched_.push_back(std::move(watched));
}

// Runs while a page is made: no series may be added here.
void LoadedLibraries::collect() {
  const std::scoped_lock lock{mutex_};
  for (Watched& each : watched_) {
    const auto counters = each.counters.lock();
    if (counters == nullptr) continue;
    const std::uint64_t overruns = counters->overruns.load(std::memory_order_relaxed);
    const std::uint64_t faults = counters->faults.load(std::memory_order_relaxed);
    const bool off = counters->off.load(std::memory_order_relaxed);
    each.overruns_total->add(static_cast<double>(overruns - std::exchange(each.overruns, overruns)));
    each.faults_total->add(static_cast<double>(faults - std::exchange(each.faults, faults)));
    each.off->set(off ? 1 : 0);
    if (off && !std::exchange(each.said_off, true))
      log::error("plugin {} is switched off: {} calls over budget, {} faults", each.type, overruns, faults);
  }
}

}  // namespace llmd::routing
