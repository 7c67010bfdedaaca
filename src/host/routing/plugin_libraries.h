#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "scheduling/shared_library_plugin.h"
#include "telemetry/metrics.h"

namespace llmd::routing {

/// Opens plugin libraries with dlopen and shows what their plugins did as metrics. A library stays loaded while a
/// plugin of it lives. Thread-safe. The code of a library is trusted: it runs in this process.
class LoadedLibraries final : public scheduling::PluginLibraries {
 public:
  /// `metrics` must outlive it; it must outlive every scheduler made with it.
  explicit LoadedLibraries(MetricsRegistry& metrics);

  [[nodiscard]] Result<Library> open(const std::string& path) override;
  void made(const scheduling::AbiPlugin& plugin) override;
  [[nodiscard]] const Clock& clock() const noexcept override { return clock_; }

 private:
  class SteadyTime final : public Clock {
   public:
    [[nodiscard]] TimePoint now() const noexcept override { return SteadyClock::now(); }
  };
  struct Watched {
    std::string type;
    std::weak_ptr<const scheduling::AbiPluginCounters> counters;
    Counter* overruns_total = nullptr;
    Counter* faults_total = nullptr;
    Gauge* off = nullptr;
    std::uint64_t overruns = 0;  // told to the metric already
    std::uint64_t faults = 0;
    bool said_off = false;
  };
  void collect();

  MetricsRegistry& metrics_;
  SteadyTime clock_;
  std::mutex mutex_;
  std::vector<Watched> watched_;
};

}  // namespace llmd::routing
