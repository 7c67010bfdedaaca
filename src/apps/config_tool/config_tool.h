#pragma once

namespace llmd {

/// `llmd config`: validates, shows, compares and rolls back EndpointPickerConfigs. argv[0] is the command's name.
int config_main(int argc, char** argv);

}  // namespace llmd
