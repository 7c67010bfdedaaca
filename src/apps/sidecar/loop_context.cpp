#include "apps/sidecar/loop_context.h"

#include <random>

namespace llmd::sidecar {
namespace {

constexpr milliseconds kIdleMax{90'000};

Result<std::shared_ptr<const net::TlsClient>> tls_of(const StageTls& stage, const char* server_name) {
  if (!stage.enabled) return nullptr;
  return net::TlsClient::make({.server_name = server_name, .insecure = stage.insecure});
}

net::ClientOptions client_options(const Options& options, std::shared_ptr<const net::TlsClient> tls) {
  return {.response_timeout = options.answer_timeout,
          .read_timeout = options.answer_timeout,
          .idle_timeout = kIdleMax,
          .idle_connections_max = options.idle_connections_max,
          .tls = std::move(tls)};
}

std::uint64_t seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

}  // namespace

Result<Sides> Sides::make(const Options& options) {
  Sides sides;
  LLMD_TRY(sides.prefiller, tls_of(options.prefiller_tls, ""));
  LLMD_TRY(sides.decoder, tls_of(options.decoder_tls, "localhost"));
  LLMD_TRY(sides.encoder, tls_of(options.encoder_tls, ""));
  return sides;
}

LoopContext::LoopContext(Loop& on, const Shared& with, const Sides& sides)
    : loop{on},
      shared{with},
      prefiller{on, client_options(with.options, sides.prefiller)},
      decoder{on, client_options(with.options, sides.decoder)},
      encoder{on, client_options(with.options, sides.encoder)},
      bootstrap{on, client_options(with.options, nullptr)},
      rng{seed()} {}

net::Address LoopContext::engine(unsigned rank) const {
  return {.host = "127.0.0.1",
          .port = static_cast<std::uint16_t>(shared.options.model_server_port + rank),
          .unix_path = {},
          .tls = shared.options.decoder_tls.enabled};
}

}  // namespace llmd::sidecar
