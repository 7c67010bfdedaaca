#include "pool/node_metrics.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace llmd::pool {
namespace {

constexpr std::size_t kDevicesMax = 64;
constexpr double kBytesAMegabyte = 1e6;

/// In the order of the numbers that SeriesNames gives.
enum class Series : std::uint8_t {
  kGpuUse,
  kGpuUsed,
  kGpuFree,
  kGpuReserved,
  kCpu,
  kMemory,
  kMemoryFree,
  kSpeed,
  kReceived,
  kSent,
  kSegmentsSent,
  kSegmentsAgain,
};

/// Names as dcgm-exporter 4.x and node_exporter 1.x write them.
const SeriesNames& wanted() {
  static const SeriesNames names = [] {
    SeriesNames made;
    for (const std::string_view name :
         {"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_RESERVED",
          "node_cpu_seconds_total", "node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes",
          "node_network_speed_bytes", "node_network_receive_bytes_total", "node_network_transmit_bytes_total",
          "node_netstat_Tcp_OutSegs", "node_netstat_Tcp_RetransSegs"}) {
      made.add(name);
    }
    return made;
  }();
  return names;
}

std::optional<double> growth(std::optional<double> before, std::optional<double> now) {
  if (!before || !now || *now < *before) return std::nullopt;
  return *now - *before;
}

void raise(std::optional<float>& largest, double value) {
  largest = std::max(largest.value_or(0.0F), static_cast<float>(std::clamp(value, 0.0, 1.0)));
}

}  // namespace

NodeMetricsParser::NodeMetricsParser(config::ExporterKind kind, std::string_view pod)
    : ExpositionReader{wanted()}, kind_{kind}, pod_{pod} {}

void NodeMetricsParser::on_sample(const Sample& sample) {
  if (!std::isfinite(sample.value)) return;
  const bool of_gpu = sample.name <= static_cast<std::size_t>(Series::kGpuReserved);
  if (of_gpu != (kind_ == config::ExporterKind::kDcgm)) return;
  if (of_gpu) {
    on_gpu(sample);
  } else {
    on_node(sample);
  }
}

NodeMetricsParser::Gpu* NodeMetricsParser::gpu(std::string_view labels) {
  const std::string_view id = LabelReader::value_of(labels, "gpu");
  const std::string_view slice = LabelReader::value_of(labels, "GPU_I_ID");  // of a GPU that is cut into instances
  std::string name{id};
  name += '/';
  name += slice;
  const auto found = std::ranges::find(gpus_, name, &Gpu::id);
  if (found != gpus_.end()) return &*found;
  if (gpus_.size() >= kDevicesMax) return nullptr;
  return &gpus_.emplace_back(Gpu{.id = std::move(name)});
}

void NodeMetricsParser::on_gpu(const Sample& sample) {
  const auto pod = LabelReader::find(sample.labels, "pod");
  if (!pod_.empty() && pod && !LabelReader::same(*pod, pod_)) {
    other_pods_ = true;
    return;
  }
  if (static_cast<Series>(sample.name) == Series::kGpuUse) {
    raise(readings_.gpu_use, sample.value / 100);
    return;
  }
  Gpu* of = gpu(sample.labels);
  if (of == nullptr || sample.value < 0) return;
  switch (static_cast<Series>(sample.name)) {
    case Series::kGpuUsed: of->used = sample.value; return;
    case Series::kGpuFree: of->free = sample.value; return;
    case Series::kGpuReserved: of->reserved = sample.value; return;
    default: return;
  }
}

NodeCounters::Device* NodeMetricsParser::device(std::string_view name) {
  const auto found = std::ranges::find(counters_.devices, name, &NodeCounters::Device::name);
  if (found != counters_.devices.end()) return &*found;
  if (counters_.devices.size() >= kDevicesMax) return nullptr;
  return &counters_.devices.emplace_back(NodeCounters::Device{.name = std::string{name}});
}

void NodeMetricsParser::on_node(const Sample& sample) {
  const auto add = [&sample](std::optional<double>& sum) { sum = sum.value_or(0) + sample.value; };
  switch (static_cast<Series>(sample.name)) {
    case Series::kCpu: {
      const std::string_view mode = LabelReader::value_of(sample.labels, "mode");
      add(counters_.cpu_seconds);
      if (mode == "idle" || mode == "iowait") add(counters_.idle_seconds);
      return;
    }
    case Series::kMemory: memory_bytes_ = sample.value; return;
    case Series::kMemoryFree: memory_free_bytes_ = sample.value; return;
    case Series::kSegmentsSent: counters_.segments_sent = sample.value; return;
    case Series::kSegmentsAgain: counters_.segments_again = sample.value; return;
    case Series::kSpeed:
    case Series::kReceived:
    case Series::kSent: break;
    default: return;
  }
  NodeCounters::Device* of = device(LabelReader::value_of(sample.labels, "device"));
  if (of == nullptr) return;
  switch (static_cast<Series>(sample.name)) {
    case Series::kSpeed: of->speed_bytes = sample.value; return;
    case Series::kReceived: of->received_bytes = sample.value; return;
    default: of->sent_bytes = sample.value; return;
  }
}

Result<void> NodeMetricsParser::finish() {
  end_page();
  for (const Gpu& each : gpus_) {
    if (!each.used || !each.free) continue;
    const double all = *each.used + *each.free + each.reserved;
    if (all > 0) raise(readings_.gpu_memory_use, (*each.used + each.reserved) / all);
  }
  if (memory_bytes_ && memory_free_bytes_ && *memory_bytes_ > 0)
    raise(readings_.memory_use, 1 - *memory_free_bytes_ / *memory_bytes_);
  if (kind_ == config::ExporterKind::kDcgm && !readings_.gpu_use && !readings_.gpu_memory_use) {
    return fail(ErrorCode::kProtocol,
                other_pods_ ? "the page of DCGM tells of other pods' GPUs only" : "the page of DCGM tells of no GPU",
                "is it the page of a dcgm-exporter?");
  }
  if (kind_ == config::ExporterKind::kNode && !counters_.cpu_seconds && !readings_.memory_use) {
    return fail(ErrorCode::kProtocol, "the page of node-exporter tells of neither CPU nor memory",
                "is it the page of a node-exporter?");
  }
  return {};
}

void add_rates(const NodeCounters& before, const NodeCounters& now, Duration between, NodeReadings& readings) {
  const auto cpu = growth(before.cpu_seconds, now.cpu_seconds);
  const auto idle = growth(before.idle_seconds, now.idle_seconds);
  if (cpu && idle && *cpu > 0) readings.cpu_use = static_cast<float>(std::clamp(1 - *idle / *cpu, 0.0, 1.0));
  const auto sent = growth(before.segments_sent, now.segments_sent);
  const auto again = growth(before.segments_again, now.segments_again);
  if (sent && again && *sent > 0) readings.packet_loss = static_cast<float>(std::min(1.0, *again / *sent));
  const double seconds = to_seconds(between);
  if (seconds <= 0) return;
  for (const NodeCounters::Device& device : now.devices) {
    const auto old = std::ranges::find(before.devices, device.name, &NodeCounters::Device::name);
    if (device.speed_bytes <= 0 || device.name == "lo" || old == before.devices.end()) continue;
    const auto in = growth(old->received_bytes, device.received_bytes);
    const auto out = growth(old->sent_bytes, device.sent_bytes);
    if (!in || !out) continue;
    const double used = std::max(*in, *out) / seconds;
    const auto free = static_cast<float>(std::max(0.0, device.speed_bytes - used) / kBytesAMegabyte);
    readings.bandwidth_mbps = std::max(readings.bandwidth_mbps.value_or(0), free);
  }
}

}  // namespace llmd::pool
