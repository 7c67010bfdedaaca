#include "scheduling/handlers/header_profile_handler.h"

#include <array>

#include "scheduling/header_name.h"

namespace llmd::scheduling {
namespace {

constexpr std::string_view kHeader = "EPP-Profile";
constexpr std::string_view kDefaultProfile = "decode";
constexpr std::array kParameters{
    ParameterSpec{.name = "headerName",
                  .type = ParameterType::kText,
                  .text = kHeader,
                  .help = "the request header that names the profile"},
    ParameterSpec{.name = "defaultProfile",
                  .type = ParameterType::kText,
                  .text = kDefaultProfile,
                  .help = "the profile of a request without the header"},
};

}  // namespace

constinit const PluginSpec HeaderProfileHandler::kSpec{
    .type = "header-profile-handler",
    .kind = PluginKind::kProfileHandler,
    .help = "runs the profile that a request header names",
    .parameters = kParameters,
    .stability = Stability::kAlpha,
    .inputs = "a request header",
};

HeaderProfileHandler HeaderProfileHandler::read(const ParameterReader& parameters) {
  HeaderProfileHandler handler{.header = header_name(parameters.text("headerName")),
                               .default_profile = trimmed(parameters.text("defaultProfile"))};
  if (handler.header.empty()) handler.header = header_name(kHeader);
  if (handler.default_profile.empty()) handler.default_profile = kDefaultProfile;
  return handler;
}

}  // namespace llmd::scheduling
