#include "scheduling/handlers/data_parallel_profile_handler.h"

#include <array>

namespace llmd::scheduling {
namespace {

constexpr std::uint16_t kPrimaryPort = 8'000;
constexpr std::array kParameters{
    ParameterSpec{.name = "primaryPort",
                  .type = ParameterType::kInteger,
                  .number = kPrimaryPort,
                  .max = 65'535,
                  .help = "port of the pod that takes requests for all ranks; 0: 8000"},
};

}  // namespace

constinit const PluginSpec DataParallelProfileHandler::kSpec{
    .type = "data-parallel-profile-handler",
    .kind = PluginKind::kProfileHandler,
    .help = "one profile over the ranks of data-parallel pods, which share a port",
    .parameters = kParameters,
};

std::uint16_t DataParallelProfileHandler::read(const ParameterReader& parameters) {
  const auto port = static_cast<std::uint16_t>(parameters.integer("primaryPort"));
  return port == 0 ? kPrimaryPort : port;
}

}  // namespace llmd::scheduling
