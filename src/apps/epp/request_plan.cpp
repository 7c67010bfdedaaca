#include "apps/epp/request_plan.h"

#include <algorithm>
#include <utility>

namespace llmd::epp {

RequestPlan::RequestPlan(std::shared_ptr<const config::EndpointPickerConfig> of) : config{std::move(of)} {
  const auto& plugins = config->scheduling.others;
  for (const std::string& name : config->parsers) {
    const auto found = std::ranges::find(plugins, name, &scheduling::PluginInstance::name);
    const api::RequestParser* parser = api::find_parser(found == plugins.end() ? name : found->type);
    if (parser != nullptr) parsers.push_back(parser);
  }
  if (!parsers.empty()) return;
  for (const char* type : {"openai-parser", "anthropic-parser", "vllmhttp-parser", "passthrough-parser"})
    parsers.push_back(api::find_parser(type));
}

bool RequestPlan::supports(std::string_view app_protocol) const noexcept {
  return app_protocol.empty() || std::ranges::all_of(parsers, [&](const api::RequestParser* parser) {
           return parser->protocols.empty() ||
                  std::ranges::find(parser->protocols, app_protocol) != parser->protocols.end();
         });
}

std::shared_ptr<const RequestPlan> CurrentPlan::get() {
  auto now = live_.config();
  if (plan_ == nullptr || plan_->config != now) plan_ = std::make_shared<const RequestPlan>(std::move(now));
  return plan_;
}

}  // namespace llmd::epp
