#include "apps/worker/server_options.h"

#include "telemetry/log.h"

namespace llmd::worker {

Result<net::ServerOptions> server_options(const Options& options) {
  net::ServerOptions server;
  LLMD_TRY(server.listen, net::Address::parse(options.listen));
  server.limits.body_bytes_max = options.body_bytes_max;
  if (!server.listen.is_loopback() && options.api_key.empty()) {
    log::warn("{} can be reached from other machines and LLMD_API_KEY is not set: everyone who reaches it may use it",
              server.listen.to_string());
  }
  return server;
}

}  // namespace llmd::worker
