#include "apps/worker/kv_exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <random>
#include <utility>

#include "telemetry/log.h"

namespace llmd::worker {
namespace {

std::uint64_t random_number() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

/// Blocks of an engine that has a store: its bytes are what travels.
class StoreExchange final : public KvExchange {
 public:
  StoreExchange(const KvSetup& setup, Engine& engine, MetricsRegistry& registry)
      : KvExchange{setup, engine, registry} {}
  [[nodiscard]] Result<void> open(Loop& loop, const KvSetup& setup);

 private:
  [[nodiscard]] std::vector<kvstore::BlockHandle> leading_blocks(const std::vector<BlockId>& chain) override {
    return engine().block_store()->get_leading(chain);
  }
  [[nodiscard]] Task<std::optional<Error>> pull(Wanted wanted, KvArrival* arrival) override;
};

Result<void> StoreExchange::open(Loop& loop, const KvSetup& setup) {
  if (engine().block_store() == nullptr) {
    if (setup.listen) log::warn("this model is served without block reuse, so no blocks are moved");
    return {};
  }
  const EngineInfo& info = engine().info();
  // Half of the store stays for the prompts of running requests.
  return KvExchange::open(loop, setup,
                          {.store = *engine().block_store(),
                           .block_bytes = info.block_bytes,
                           .leased_bytes_max = info.store_bytes_max / 2,
                           .pulls = metrics()});
}

Task<std::optional<Error>> StoreExchange::pull(Wanted wanted, KvArrival* arrival) {
  const std::vector<BlockId>& chain = wanted.chain;
  std::vector<kvstore::BlockHandle> held = leading_blocks(chain);
  const std::size_t here = held.size();
  std::ranges::move(held, std::back_inserter(arrival->pinned));
  wanted.pull.ids.assign(chain.begin() + static_cast<std::ptrdiff_t>(here), chain.end());
  if (here > 0) wanted.pull.parent = chain[here - 1];
  kvtransfer::PullResult result = co_await client().pull(std::move(wanted.pull));
  const std::size_t missing = chain.size() - here - result.blocks.size();
  std::ranges::move(result.blocks, std::back_inserter(arrival->pinned));
  arrival->blocks += result.blocks_received;
  arrival->bytes += result.bytes_received;
  arrival->recomputed_tokens += missing * engine().info().block_tokens;
  co_return std::move(result.error);
}

/// Where the blocks lie, as the prefill worker's answer says.
Result<kvtransfer::PullRequest> pull_request_of(const openai::KvTransferParams& params) {
  kvtransfer::PullRequest request;
  const std::string& host = params.remote_host;
  const bool bare_ip6 = host.find(':') != std::string::npos && !host.starts_with('[');
  std::string address =
      bare_ip6 ? fmt::format("[{}]:{}", host, params.remote_port) : fmt::format("{}:{}", host, params.remote_port);
  if (host.starts_with("unix:")) address = host;
  LLMD_TRY(request.peer, net::Address::parse(address));
  const std::string& lease = params.remote_request_id;
  const char* end = lease.data() + lease.size();
  const auto [rest, status] = std::from_chars(lease.data(), end, request.lease.value, 16);
  if (status == std::errc{} && rest == end) return request;
  return fail(ErrorCode::kInvalidRequest,
              fmt::format("kv_transfer_params.remote_request_id has {} bytes and is not the hexadecimal number of a "
                          "lease",
                          lease.size()),
              "the prefill endpoint is no llmd worker");
}

}  // namespace

KvExchange::KvExchange(const KvSetup& setup, Engine& engine, MetricsRegistry& registry, std::size_t counted_block_bytes)
    : engine_{engine},
      metrics_{registry, counted_block_bytes},
      pull_timeout_{setup.pull_timeout},
      advertised_host_{setup.advertised_host},
      engine_id_{fmt::format("llmd-{:016x}", random_number())} {}

Result<void> KvExchange::open(Loop& loop, const KvSetup& setup, const Wire& wire) {
  const kvtransfer::Hello identity{.model_fingerprint = engine_.info().model_fingerprint,
                                   .block_tokens = engine_.info().block_tokens,
                                   .block_bytes = wire.block_bytes,
                                   .shared_memory = true};
  client_ = std::make_unique<kvtransfer::BlockClient>(
      loop, kvtransfer::BlockClientOptions{.identity = identity, .peers = setup.peers}, wire.store, wire.pulls);
  if (!setup.listen) return {};
  kvtransfer::BlockServerOptions options;
  options.listen = *setup.listen;
  options.identity = identity;
  options.leases = {.bytes_max = wire.leased_bytes_max, .id_seed = random_number()};
  options.lease_time = setup.lease;
  if (!setup.listen->is_loopback()) {
    log::warn("{} can be reached from other machines: whoever reaches it and learns a lease may read its blocks",
              setup.listen->to_string());
  }
  LLMD_TRY(server_, kvtransfer::BlockServer::listen(loop, std::move(options), metrics_));
  log::info("keeping blocks for decode workers on {}", server_->address().to_string());
  return {};
}

void KvExchange::close() noexcept {
  client_.reset();
  server_.reset();
}

/// The engine computes at least the last token of a prompt, so a block that ends with it is of no use.
std::vector<BlockId> KvExchange::usable_blocks(const std::vector<TokenId>& prompt,
                                               const std::string& cache_salt) const {
  std::vector<BlockId> ids = engine_.block_ids(prompt, cache_salt);
  ids.resize(std::min<std::size_t>(ids.size(), (prompt.size() - 1) / engine_.info().block_tokens));
  return ids;
}

std::optional<openai::KvTransferParams> KvExchange::keep(const KvPrompts& request) {
  if (!server_) return std::nullopt;
  std::vector<kvtransfer::LeasedBlock> blocks;
  for (const std::vector<TokenId>& prompt : request.prompts) {
    const std::vector<BlockId> ids = usable_blocks(prompt, request.cache_salt);
    std::vector<kvstore::BlockHandle> handles = leading_blocks(ids);
    for (std::size_t i = 0; i < handles.size(); ++i) blocks.push_back({ids[i], std::move(handles[i])});
  }
  if (blocks.empty()) return std::nullopt;
  openai::KvTransferParams params{.do_remote_prefill = true};
  params.remote_block_ids.emplace_back(blocks.size());
  std::iota(params.remote_block_ids.front().begin(), params.remote_block_ids.front().end(), 0);
  params.remote_num_tokens = static_cast<std::uint32_t>(blocks.size() * engine_.info().block_tokens);
  const Result<kvtransfer::LeaseId> lease = server_->grant(std::move(blocks));
  if (!lease) {
    metrics_.count_failure(lease.error().code);
    log::write(log::Level::kWarn, request.request_id, lease.error().to_string());
    return std::nullopt;
  }
  const net::Address& address = server_->address();
  params.remote_engine_id = engine_id_;
  params.remote_request_id = fmt::format("{:016x}", lease->value);
  params.remote_host = address.is_unix() ? address.to_string() : advertised_host_;
  params.remote_port = address.port;
  return params;
}

Task<KvArrival> KvExchange::receive(openai::KvTransferParams params, KvPrompts request, net::CancelToken& token) {
  KvArrival arrival;
  Result<kvtransfer::PullRequest> where = pull_request_of(params);
  if (!client_) where = fail(ErrorCode::kUnsupported, "this model is served without block reuse");
  if (!where) {
    arrival.error = where.error();
    metrics_.count_failure(arrival.error->code);
  }
  const TimePoint deadline = SteadyClock::now() + pull_timeout_;
  for (std::size_t i = 0; i < request.prompts.size(); ++i) {
    std::vector<BlockId> chain = usable_blocks(request.prompts[i], request.cache_salt);
    if (arrival.error) {
      arrival.recomputed_tokens += chain.size() * engine_.info().block_tokens;
      continue;
    }
    Wanted wanted{
        .pull = *where, .prompt = request.prompts[i], .cache_salt = request.cache_salt, .chain = std::move(chain)};
    wanted.pull.last = i + 1 == request.prompts.size();
    wanted.pull.deadline = deadline;
    wanted.pull.token = &token;
    arrival.error = co_await pull(std::move(wanted), &arrival);
  }
  metrics_.count_recomputed_tokens(arrival.recomputed_tokens);
  if (arrival.error && arrival.error->code != ErrorCode::kCancelled) {
    log::write(log::Level::kWarn, request.request_id,
               fmt::format("{} prompt tokens are computed here, as their blocks did not come: {}",
                           arrival.recomputed_tokens, arrival.error->to_string()));
  }
  co_return arrival;
}

std::size_t KvExchange::leases() const { return server_ ? server_->leases().leases : 0; }

Result<std::unique_ptr<KvExchange>> make_kv_exchange(Loop& loop, const KvSetup& setup, Engine& engine,
                                                     MetricsRegistry& registry) {
  auto made = std::make_unique<StoreExchange>(setup, engine, registry);
  LLMD_TRY_VOID(made->open(loop, setup));
  return made;
}

}  // namespace llmd::worker
