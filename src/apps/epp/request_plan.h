#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "api/requests/request_parser.h"
#include "config/endpoint_picker_config.h"
#include "reporting/attribute_reporter.h"
#include "routing/live_config.h"

namespace llmd::epp {

/// What a configuration says of requests beside scheduling them.
struct RequestPlan {
  explicit RequestPlan(std::shared_ptr<const config::EndpointPickerConfig> of);

  std::shared_ptr<const config::EndpointPickerConfig> config;
  std::vector<const api::RequestParser*> parsers;  // in their order; without any in the configuration, llm-d's four

  [[nodiscard]] std::span<const reporting::AttributeReporter> reporters() const noexcept {
    return config->request_plugins.reporters;
  }
  /// Whether each parser reads what a pool of that protocol is sent; empty: the pool does not say.
  [[nodiscard]] bool supports(std::string_view app_protocol) const noexcept;
  [[nodiscard]] bool shows_served_endpoint() const noexcept { return config->request_plugins.shows_served_endpoint; }
};

/// The plan of the configuration in force, made anew when that is another: one object a loop.
class CurrentPlan {
 public:
  explicit CurrentPlan(const routing::LiveConfig& live) : live_{live} {}
  [[nodiscard]] std::shared_ptr<const RequestPlan> get();

 private:
  const routing::LiveConfig& live_;
  std::shared_ptr<const RequestPlan> plan_;
};

}  // namespace llmd::epp
