#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "config/data_layer_config.h"
#include "pool/exposition_reader.h"

namespace llmd::pool {

/// What exporters tell of the machine that an endpoint runs on. No value: not told.
struct NodeReadings {
  std::optional<float> gpu_use{};         // 0..1, of the busiest GPU
  std::optional<float> gpu_memory_use{};  // 0..1, of the fullest GPU
  std::optional<float> cpu_use{};         // 0..1 of all cores since the last look
  std::optional<float> memory_use{};      // 0..1
  std::optional<float> bandwidth_mbps{};  // megabytes a second that the fastest network device has free
  std::optional<float> packet_loss{};     // 0..1 of the TCP segments sent since the last look, sent again
};

/// Counters of a machine at one look. All of them together: what one look lacks makes no rate.
struct NodeCounters {
  struct Device {
    std::string name;
    double speed_bytes = 0;  // a second; 0: not told
    double received_bytes = 0;
    double sent_bytes = 0;
  };
  std::optional<double> cpu_seconds{};
  std::optional<double> idle_seconds{};
  std::optional<double> segments_sent{};
  std::optional<double> segments_again{};
  std::vector<Device> devices{};  // at most 64
};

/// Reads a page of NVIDIA's DCGM exporter (DCGM_FI_DEV_*) or of Prometheus' node-exporter (node_*). One object a page.
class NodeMetricsParser final : private ExpositionReader {
 public:
  /// `pod`: samples that a pod label gives to another pod do not count; empty: all do.
  NodeMetricsParser(config::ExporterKind kind, std::string_view pod);
  using ExpositionReader::feed;
  /// Error kProtocol: nothing that was to be there is.
  [[nodiscard]] Result<void> finish();
  /// Gauges only; rates need the look before: see rates().
  [[nodiscard]] const NodeReadings& readings() const noexcept { return readings_; }
  [[nodiscard]] const NodeCounters& counters() const noexcept { return counters_; }

 private:
  void on_sample(const Sample& sample) override;
  void on_gpu(const Sample& sample);
  void on_node(const Sample& sample);
  NodeCounters::Device* device(std::string_view name);

  struct Gpu {
    std::string id;
    std::optional<double> used{};  // MiB
    std::optional<double> free{};
    double reserved = 0;
  };
  Gpu* gpu(std::string_view labels);

  const config::ExporterKind kind_;
  const std::string pod_;
  NodeReadings readings_;
  NodeCounters counters_;
  std::vector<Gpu> gpus_{};  // at most 64
  std::optional<double> memory_bytes_;
  std::optional<double> memory_free_bytes_;
  bool other_pods_ = false;  // samples were left out
};

/// Fills in what only two looks tell. A counter that fell is a new process's: no rate.
void add_rates(const NodeCounters& before, const NodeCounters& now, Duration between, NodeReadings& readings);

}  // namespace llmd::pool
