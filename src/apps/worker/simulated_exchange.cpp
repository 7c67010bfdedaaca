#include "apps/worker/simulated_exchange.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/budget.h"
#include "kvstore/block_store.h"
#include "runtime/event.h"
#include "simulation/to_duration.h"

namespace llmd::worker {
namespace {

constexpr std::size_t kStandInBytes = 8;
constexpr std::size_t kArrivalBytesMax = std::size_t{4} << 20;  // of stand-ins under way

/// How long the profile's link takes for so many blocks.
class Link {
 public:
  Link(const simulation::HardwareProfile& profile, std::uint64_t block_bytes) noexcept
      : latency_s_{profile.transfer_latency_s},
        block_s_{static_cast<double>(block_bytes) / profile.transfer_bytes_per_s} {}

  [[nodiscard]] Duration time_of(std::size_t blocks) const noexcept {
    return simulation::to_duration(latency_s_ + block_s_ * static_cast<double>(blocks));
  }
  /// Blocks that have come after `time`, of `blocks`.
  [[nodiscard]] std::size_t blocks_within(Duration time, std::size_t blocks) const noexcept {
    const double came = (to_seconds(time) - latency_s_) / block_s_;
    return came <= 0 ? 0 : static_cast<std::size_t>(std::min(came, static_cast<double>(blocks)));
  }

 private:
  double latency_s_;
  double block_s_;
};

/// Until `due` or the token's cancelling.
Task<void> wait_until(Loop& loop, TimePoint due, net::CancelToken& token) {
  if (token.cancelled() || SteadyClock::now() >= due) co_return;
  struct Watch {
    Watch(Loop& loop, net::CancelToken& of) : token{of}, cancelled{loop} {
      token.set(this, [this] { cancelled.set(); });
    }
    ~Watch() { token.set(this, nullptr); }
    net::CancelToken& token;
    Event cancelled;
  } watch{loop, token};
  (void)co_await watch.cancelled.wait_until(due);
}

class SimulatedExchange final : public KvExchange {
 public:
  SimulatedExchange(Loop& loop, const KvSetup& setup, SimulatedEngine& engine, MetricsRegistry& registry)
      : KvExchange{setup, engine, registry, engine.info().block_bytes},
        loop_{loop},
        simulated_{engine},
        link_{engine.profile(), engine.info().block_bytes} {}

  ~SimulatedExchange() override { close(); }  // pulls use what is below

  [[nodiscard]] Result<void> open(const KvSetup& setup) {
    const EngineInfo& info = engine().info();
    return KvExchange::open(loop_, setup,
                            {.store = arrivals_,
                             .block_bytes = kStandInBytes,
                             .leased_bytes_max = info.store_bytes_max / info.block_bytes / 2 * kStandInBytes,
                             .pulls = wire_metrics_});
  }

 private:
  [[nodiscard]] std::vector<kvstore::BlockHandle> leading_blocks(const std::vector<BlockId>& chain) override;
  [[nodiscard]] Task<std::optional<Error>> pull(Wanted wanted, KvArrival* arrival) override;

  Loop& loop_;
  SimulatedEngine& simulated_;
  const Link link_;
  Budget budget_{"simulated arrivals", kArrivalBytesMax};
  kvstore::BlockStore arrivals_{{.block_bytes = kStandInBytes, .slab_bytes = std::size_t{64} << 10}, budget_};
  MetricsRegistry wire_registry_;  // nobody reads it: stand-ins and their time are not what the page is about
  kvtransfer::TransferMetrics wire_metrics_{wire_registry_};
};

std::vector<kvstore::BlockHandle> SimulatedExchange::leading_blocks(const std::vector<BlockId>& chain) {
  std::vector<kvstore::BlockHandle> stand_ins;
  const std::size_t held = simulated_.held_blocks(chain);
  for (std::size_t i = 0; i < held; ++i)
    stand_ins.push_back(kvstore::BlockHandle::copy_of(std::as_bytes(std::span{chain[i].bytes}).first(kStandInBytes)));
  return stand_ins;
}

Task<std::optional<Error>> SimulatedExchange::pull(Wanted wanted, KvArrival* arrival) {
  const TimePoint began = SteadyClock::now();
  const TimePoint deadline = wanted.pull.deadline;
  net::CancelToken& token = *wanted.pull.token;
  const std::size_t here = simulated_.held_blocks(wanted.chain);
  const std::size_t lacking = wanted.chain.size() - here;
  wanted.pull.ids.assign(wanted.chain.begin() + static_cast<std::ptrdiff_t>(here), wanted.chain.end());
  kvtransfer::PullResult result = co_await client().pull(std::move(wanted.pull));
  std::size_t came = result.blocks.size();
  result.blocks.clear();
  arrivals_.clear();
  const Duration takes = result.error && came == 0 ? Duration{} : link_.time_of(came);
  co_await wait_until(loop_, std::min(began + takes, deadline), token);
  std::optional<Error> error = std::move(result.error);
  if (began + takes > deadline) {
    came = std::min(came, link_.blocks_within(deadline - began, came));
    error = Error{.code = ErrorCode::kDeadlineExceeded,
                  .what = "the profile's link takes longer than --kv-pull-timeout for the blocks"};
  }
  if (token.cancelled()) {
    came = 0;
    error = Error{.code = ErrorCode::kCancelled, .what = "the client went away"};
  }
  simulated_.receive_blocks(wanted.prompt, wanted.cache_salt, came > 0 ? here + came : 0);
  for (std::size_t i = 0; i < came; ++i) metrics().count_received(engine().info().block_bytes);
  arrival->blocks += came;
  arrival->bytes += came * engine().info().block_bytes;
  arrival->recomputed_tokens += (lacking - came) * engine().info().block_tokens;
  if (error) {
    metrics().count_failure(error->code);
  } else {
    metrics().observe_pull(takes);
  }
  co_return error;
}

}  // namespace

Result<std::unique_ptr<KvExchange>> make_simulated_exchange(Loop& loop, const KvSetup& setup, SimulatedEngine& engine,
                                                            MetricsRegistry& registry) {
  auto made = std::make_unique<SimulatedExchange>(loop, setup, engine, registry);
  LLMD_TRY_VOID(made->open(setup));
  return made;
}

}  // namespace llmd::worker
