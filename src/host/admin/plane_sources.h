#pragma once

#include <functional>
#include <string>

#include "admin/admin_server.h"
#include "routing/plane.h"

namespace llmd::admin {

/// What the control socket tells of a plane, which must outlive the server; the two that differ from process to process
/// are given.
[[nodiscard]] AdminSources sources_of(routing::Plane& plane, std::function<std::string()> config_json,
                                      std::function<std::string()> summary_json);

}  // namespace llmd::admin
