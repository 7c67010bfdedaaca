#include "scheduling/handlers/single_profile_handler.h"

namespace llmd::scheduling {

constinit const PluginSpec SingleProfileHandler::kSpec{
    .type = "single-profile-handler",
    .kind = PluginKind::kProfileHandler,
    .help = "runs the only profile",
};

}  // namespace llmd::scheduling
