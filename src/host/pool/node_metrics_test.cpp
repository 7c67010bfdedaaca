#include "pool/node_metrics.h"

#include <gtest/gtest.h>

namespace llmd::pool {
namespace {

using config::ExporterKind;

Result<NodeReadings> read(ExporterKind kind, std::string_view pod, std::string_view page) {
  NodeMetricsParser parser{kind, pod};
  LLMD_TRY_VOID(parser.feed(page));
  LLMD_TRY_VOID(parser.finish());
  return parser.readings();
}

// A DaemonSet's page: each sample says whose GPU it is.
constexpr std::string_view kDcgmPage =
    "# TYPE DCGM_FI_DEV_GPU_UTIL gauge\n"
    "DCGM_FI_DEV_GPU_UTIL{gpu=\"0\",UUID=\"GPU-a\",pod=\"p-0\",namespace=\"d\"} 30\n"
    "DCGM_FI_DEV_GPU_UTIL{gpu=\"1\",UUID=\"GPU-b\",pod=\"p-0\",namespace=\"d\"} 80\n"
    "DCGM_FI_DEV_GPU_UTIL{gpu=\"2\",UUID=\"GPU-c\",pod=\"p-1\",namespace=\"d\"} 95\n"
    "DCGM_FI_DEV_FB_FREE{gpu=\"0\",pod=\"p-0\"} 750\n"
    "DCGM_FI_DEV_FB_USED{gpu=\"0\",pod=\"p-0\"} 250\n"
    "DCGM_FI_DEV_FB_FREE{gpu=\"1\",pod=\"p-0\"} 100\n"
    "DCGM_FI_DEV_FB_USED{gpu=\"1\",pod=\"p-0\"} 300\n"
    "DCGM_FI_DEV_FB_FREE{gpu=\"2\",pod=\"p-1\"} 0\n"
    "DCGM_FI_DEV_FB_USED{gpu=\"2\",pod=\"p-1\"} 1000\n";

TEST(NodeMetrics, TellsTheBusiestAndTheFullestGpuOfAPod) {
  const auto mine = read(ExporterKind::kDcgm, "p-0", kDcgmPage);
  ASSERT_TRUE(mine) << mine.error().what;
  EXPECT_FLOAT_EQ(mine->gpu_use.value(), 0.8F);
  EXPECT_FLOAT_EQ(mine->gpu_memory_use.value(), 0.75F);
  const auto all = read(ExporterKind::kDcgm, "", kDcgmPage);
  EXPECT_FLOAT_EQ(all->gpu_use.value(), 0.95F);
  EXPECT_FLOAT_EQ(all->gpu_memory_use.value(), 1.0F);
  const auto none = read(ExporterKind::kDcgm, "p-9", kDcgmPage);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kProtocol);
  EXPECT_NE(none.error().what.find("other pods"), std::string::npos);
}

TEST(NodeMetrics, SamplesWithoutAPodAreEverybodys) {
  const auto sidecar = read(ExporterKind::kDcgm, "p-0", "DCGM_FI_DEV_GPU_UTIL{gpu=\"0\"} 40\n");
  ASSERT_TRUE(sidecar);
  EXPECT_FLOAT_EQ(sidecar->gpu_use.value(), 0.4F);
  EXPECT_FALSE(read(ExporterKind::kDcgm, "p-0", "DCGM_FI_DEV_GPU_UTIL{gpu=\"0\",pod=\"\"} 40\n"))
      << "an exporter that knows of pods says that this GPU is nobody's";
}

constexpr std::string_view kNodePage =
    "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 100\n"
    "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 50\n"
    "node_cpu_seconds_total{cpu=\"1\",mode=\"iowait\"} 10\n"
    "node_memory_MemTotal_bytes 1e+10\nnode_memory_MemAvailable_bytes 4e+09\n"
    "node_network_speed_bytes{device=\"eth0\"} 1.25e+09\nnode_network_speed_bytes{device=\"lo\"} 9e9\n"
    "node_network_receive_bytes_total{device=\"eth0\"} 1000\nnode_network_transmit_bytes_total{device=\"eth0\"} 2000\n"
    "node_netstat_Tcp_OutSegs 1000\nnode_netstat_Tcp_RetransSegs 10\n";

TEST(NodeMetrics, TellsMemoryAtOnceAndRatesAtTheSecondLook) {
  NodeMetricsParser before{ExporterKind::kNode, ""};
  ASSERT_TRUE(before.feed(kNodePage));
  ASSERT_TRUE(before.finish());
  EXPECT_FLOAT_EQ(before.readings().memory_use.value(), 0.6F);
  EXPECT_FALSE(before.readings().cpu_use);
  NodeCounters now = before.counters();
  *now.cpu_seconds += 20;
  *now.idle_seconds += 5;
  *now.segments_sent += 200;
  *now.segments_again += 10;
  now.devices[0].received_bytes += 1e9;
  now.devices[0].sent_bytes += 1e6;
  NodeReadings readings;
  add_rates(before.counters(), now, seconds{2}, readings);
  EXPECT_FLOAT_EQ(readings.cpu_use.value(), 0.75F);
  EXPECT_FLOAT_EQ(readings.packet_loss.value(), 0.05F);
  EXPECT_FLOAT_EQ(readings.bandwidth_mbps.value(), 750.0F) << "1,250 MB/s less 500";
}

TEST(NodeMetrics, ACounterThatFellMakesNoRate) {
  NodeMetricsParser parser{ExporterKind::kNode, ""};
  ASSERT_TRUE(parser.feed(kNodePage));
  ASSERT_TRUE(parser.finish());
  NodeCounters now = parser.counters();
  now.cpu_seconds = 1;
  now.segments_sent = 1;
  now.devices[0].sent_bytes = 1;
  NodeReadings readings;
  add_rates(parser.counters(), now, seconds{1}, readings);
  EXPECT_FALSE(readings.cpu_use);
  EXPECT_FALSE(readings.packet_loss);
  EXPECT_FALSE(readings.bandwidth_mbps);
}

TEST(NodeMetrics, APageOfSomethingElseIsAnError) {
  EXPECT_EQ(read(ExporterKind::kDcgm, "", kNodePage).error().code, ErrorCode::kProtocol);
  EXPECT_EQ(read(ExporterKind::kNode, "", kDcgmPage).error().code, ErrorCode::kProtocol);
  EXPECT_FALSE(read(ExporterKind::kDcgm, "", "DCGM_FI_DEV_GPU_UTIL NaN\n"));
}

}  // namespace
}  // namespace llmd::pool
