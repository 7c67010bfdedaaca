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

kvtransfer::Hello identity_of(const EngineInfo& info) {
  return {.model_fingerprint = info.model_fingerprint,
          .block_tokens = info.block_tokens,
          .block_bytes = info.block_bytes,
          .shared_memory = true};
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

KvExchange::KvExchange(const KvSetup& setup, Engine& engine, MetricsRegistry& registry)
    : engine_{engine},
      metrics_{registry},
      pull_timeout_{setup.pull_timeout},
      advertised_host_{setup.advertised_host},
      engine_id_{fmt::format("llmd-{:016x}", random_number())} {}

Result<std::unique_ptr<KvExchange>> KvExchange::make(Loop& loop, const KvSetup& setup, Engine& engine,
                                                     MetricsRegistry& registry) {
  auto made = std::unique_ptr<KvExchange>{new KvExchange{setup, engine, registry}};
  LLMD_TRY_VOID(made->open(loop, setup));
  return made;
}

Result<void> KvExchange::open(Loop& loop, const KvSetup& setup) {
  kvstore::BlockStore* store = engine_.block_store();
  if (store == nullptr) {
    if (setup.listen) log::warn("this model is served without block reuse, so no blocks are moved");
    return {};
  }
  const kvtransfer::Hello identity = identity_of(engine_.info());
  client_ = std::make_unique<kvtransfer::BlockClient>(
      loop, kvtransfer::BlockClientOptions{.identity = identity, .peers = setup.peers}, *store, metrics_);
  if (!setup.listen) return {};
  kvtransfer::BlockServerOptions options;
  options.listen = *setup.listen;
  options.identity = identity;
  // Half of the store stays for the prompts of running requests.
  options.leases = {.bytes_max = engine_.info().store_bytes_max / 2, .id_seed = random_number()};
  options.lease_time = setup.lease;
  if (!setup.listen->is_loopback()) {
    log::warn("{} can be reached from other machines: whoever reaches it and learns a lease may read its blocks",
              setup.listen->to_string());
  }
  LLMD_TRY(server_, kvtransfer::BlockServer::listen(loop, std::move(options), metrics_));
  log::info("keeping blocks for decode workers on {}", server_->address().to_string());
  return {};
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
    std::vector<kvstore::BlockHandle> handles = engine_.block_store()->get_leading(ids);
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

Task<std::optional<Error>> KvExchange::pull(kvtransfer::PullRequest request, std::vector<BlockId> chain,
                                            KvArrival* arrival) {
  std::vector<kvstore::BlockHandle> held = engine_.block_store()->get_leading(chain);
  const std::size_t here = held.size();
  std::ranges::move(held, std::back_inserter(arrival->pinned));
  request.ids.assign(chain.begin() + static_cast<std::ptrdiff_t>(here), chain.end());
  if (here > 0) request.parent = chain[here - 1];
  kvtransfer::PullResult result = co_await client_->pull(std::move(request));
  const std::size_t missing = chain.size() - here - result.blocks.size();
  std::ranges::move(result.blocks, std::back_inserter(arrival->pinned));
  arrival->blocks += result.blocks_received;
  arrival->bytes += result.bytes_received;
  arrival->recomputed_tokens += missing * engine_.info().block_tokens;
  co_return std::move(result.error);
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
    kvtransfer::PullRequest wanted = *where;
    wanted.last = i + 1 == request.prompts.size();
    wanted.deadline = deadline;
    wanted.token = &token;
    arrival.error = co_await pull(std::move(wanted), std::move(chain), &arrival);
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

}  // namespace llmd::worker
