#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "net/address.h"
#include "net/client.h"
#include "runtime/loop.h"

namespace llmd::sim {

/// An OpenAI-compatible server, as `calibrate` sees it.
struct ProbeTarget {
  net::Address address{};
  std::string model;
  std::string authorization;  // header value; empty: none
};

struct Probe {
  std::string prompt;
  std::uint32_t max_tokens = 1;
};

/// What the client saw of one answer.
struct ProbeAnswer {
  TimePoint sent{};
  std::vector<TimePoint> tokens;  // when the pieces of text came, one a token
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;
};

/// Asks for completions as streams and notes when their tokens come. Blocks; one thread, one loop of its own.
class Prober {
 public:
  explicit Prober(ProbeTarget target);

  /// Sends all at once and waits for the last to end. Errors: those of the connection, kUpstreamFailed (the server
  /// refuses, or says nothing of its token counts), kDeadlineExceeded.
  [[nodiscard]] Result<std::vector<ProbeAnswer>> ask(const std::vector<Probe>& probes, TimePoint deadline);

 private:
  [[nodiscard]] Task<Result<ProbeAnswer>> ask_one(const Probe& probe, net::CancelToken& token);
  [[nodiscard]] static Task<Result<void>> read_stream(net::ClientResponse& response, ProbeAnswer& answer);

  const ProbeTarget target_;
  Loop loop_{"calibrate"};
  net::Client client_{loop_, {}};
};

/// What one event of a stream of completions adds to the answer, which came at `now`. False: the stream is over.
/// Errors: kProtocol, kUpstreamFailed.
[[nodiscard]] Result<bool> take_event(std::string_view data, TimePoint now, ProbeAnswer& answer);

}  // namespace llmd::sim
