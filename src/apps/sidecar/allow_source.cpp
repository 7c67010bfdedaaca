#include "apps/sidecar/allow_source.h"

namespace llmd::sidecar {

Result<std::unique_ptr<pd::AllowSource>> make_allow_source(const Options& options) {
  std::shared_ptr<const pd::AllowList> list;
  if (options.protects()) {
    if (options.allowed_hosts.empty()) {
      return fail(ErrorCode::kUnsupported, "the pods of an InferencePool are not watched yet",
                  "name the hosts with --allowed-hosts, or allow all with --enable-ssrf-protection=false");
    }
    list = std::make_shared<pd::AllowList>(options.allowed_hosts);
  }
  return std::make_unique<pd::FixedAllowSource>(std::move(list));
}

}  // namespace llmd::sidecar
