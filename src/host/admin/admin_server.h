#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "net/server.h"
#include "pool/pool.h"
#include "routing/explanation_ring.h"
#include "runtime/loop.h"

namespace llmd::admin {

/// Where the answers come from. Called on the admin loop; each must be thread-safe against the other loops.
struct AdminSources {
  std::function<std::optional<routing::RequestRecord>(std::string_view request_id)> record;
  std::function<std::vector<pool::EndpointReport>()> endpoints;
  std::function<std::string()> config_json;   // the live configuration, as JSON
  std::function<std::string()> summary_json;  // totals of the process, as JSON
  /// The configurations that were in force, as JSON without their texts.
  std::function<std::string()> versions_json;
  /// One of them, with its text; nothing if it is forgotten.
  std::function<std::optional<std::string>(std::uint64_t number)> version_json;
  /// Puts it in force again; the number of the version that this makes. Error kNotFound, kConfigInvalid.
  std::function<Result<std::uint64_t>(std::uint64_t number)> roll_back;
  /// The learned weights, as JSON. Error kNotFound: none are learned.
  std::function<Result<std::string>()> weights_json;
  /// Does "freeze", "unfreeze" or "reset" to them. Error kNotFound: none are learned, or another word.
  std::function<Result<void>(std::string_view action)> steer_weights;
};

/// The local control socket: HTTP over a unix socket of mode 0600. GET, but where it says otherwise:
///   /explanations/{id}  why a request went where it went, and what became of it; with ?why_not=ENDPOINT, why not there
///   /endpoints          all that is known of each endpoint
///   /config             the live configuration
///   /config/versions    the configurations that were in force
///   /config/versions/N  one of them
///   /config/rollback/N  POST: puts it in force again
///   /weights            what is learned of a profile's weights
///   /weights/freeze     POST, also unfreeze and reset
///   /summary            totals, for llmd top
/// Answers are JSON; errors have OpenAI's shape.
class AdminServer {
 public:
  /// Errors as net::Server::listen; kAddressInvalid if `address` is no unix socket.
  [[nodiscard]] static Result<std::unique_ptr<AdminServer>> listen(Loop& loop, const net::Address& address,
                                                                   AdminSources sources);
  void close() { server_->close(); }

 private:
  AdminServer() = default;
  AdminSources sources_;
  std::unique_ptr<net::Server> server_;
};

}  // namespace llmd::admin
