#include "tracing/tracer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <utility>

#include "telemetry/log.h"

namespace llmd::tracing {
namespace {

constexpr std::string_view kExport = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
constexpr milliseconds kUnwind{100};
constexpr std::string_view kHelp = "Spans of traced requests, by what became of them";

/// Not all zeros, which is no identity.
template <std::size_t N>
std::array<std::uint8_t, N> random_id(Rng& chance) {
  std::array<std::uint8_t, N> id{};
  for (std::size_t at = 0; at < N; at += sizeof(std::uint64_t)) {
    const std::uint64_t bits = chance.next() | 1U;
    std::memcpy(id.data() + at, &bits, sizeof bits);
  }
  return id;
}

}  // namespace

Tracer::Tracer(Loop& home, TracingOptions options, MetricsRegistry& metrics)
    : options_{std::move(options)},
      source_{.resource = options_.resource, .scope = "llmd", .version = {}},
      exported_{metrics.counter("llmd_trace_spans_total", kHelp, {{"result", "exported"}})},
      failed_{metrics.counter("llmd_trace_spans_total", kHelp, {{"result", "failed"}})},
      dropped_{metrics.counter("llmd_trace_spans_total", kHelp, {{"result", "dropped"}})},
      wake_{home},
      done_{home},
      home_{home} {
  if (options_.exporter != Exporter::kOtlp) return;
  collector_.emplace(home, rpc::ChannelOptions{.address = options_.endpoint, .tls = options_.tls});
}

Tracer::~Tracer() = default;

TraceContext Tracer::begin(const std::optional<TraceContext>& parent, Rng& chance) const {
  if (parent) return below(*parent, chance);
  TraceContext context{.trace = random_id<16>(chance), .span = random_id<8>(chance)};
  context.sampled = chance.chance(options_.ratio);
  return context;
}

TraceContext Tracer::below(const TraceContext& parent, Rng& chance) {
  TraceContext context = parent;
  context.span = random_id<8>(chance);
  return context;
}

void Tracer::add(Span span) {
  std::size_t queued = 0;
  {
    const std::scoped_lock lock{mutex_};
    queued = queued_.size();
    if (queued < kQueuedMax) queued_.push_back(std::move(span));
  }
  if (queued >= kQueuedMax) dropped_.add();
  if (queued + 1 == kBatchMax) home_.post([this] { wake_.set(); });
}

std::vector<Span> Tracer::take_batch() {
  const std::scoped_lock lock{mutex_};
  const auto end = queued_.begin() + static_cast<std::ptrdiff_t>(std::min(queued_.size(), kBatchMax));
  std::vector<Span> batch{std::make_move_iterator(queued_.begin()), std::make_move_iterator(end)};
  queued_.erase(queued_.begin(), end);
  return batch;
}

Task<void> Tracer::run() {
  while (true) {
    wake_.reset();
    if (!stopping_) {
      [[maybe_unused]] const bool full = co_await wake_.wait_until(SteadyClock::now() + kDelay);
    }
    const bool last = stopping_;
    for (auto batch = take_batch(); !batch.empty(); batch = take_batch()) co_await export_batch(std::move(batch));
    if (!last) continue;
    done_.set();
    co_return;
  }
}

Task<void> Tracer::finish(Duration limit) {
  stopping_ = true;
  wake_.set();
  const bool all = co_await done_.wait_until(SteadyClock::now() + limit);
  if (all || !collector_) co_return;
  // What still waits ends while its loop runs.
  collector_->close();
  [[maybe_unused]] const bool ended = co_await done_.wait_until(SteadyClock::now() + kUnwind);
}

Task<void> Tracer::export_batch(std::vector<Span> batch) {
  if (options_.exporter == Exporter::kConsole) {
    std::string lines;
    for (const Span& span : batch) lines += span_line(span) + "\n";
    std::fwrite(lines.data(), 1, lines.size(), stdout);
    std::fflush(stdout);
    exported_.add(static_cast<double>(batch.size()));
    co_return;
  }
  net::Headers headers;
  for (const auto& [name, value] : options_.headers) headers.add(name, value);
  std::string request = otlp_trace_request(source_, batch);
  const auto answer =
      co_await collector_->ask(std::string{kExport}, std::move(request), std::move(headers), options_.timeout);
  std::int64_t rejected = static_cast<std::int64_t>(batch.size());
  std::string why = answer ? std::string{} : answer.error().to_string();
  if (answer) std::tie(rejected, why) = otlp_rejected(*answer);
  rejected = std::clamp<std::int64_t>(rejected, 0, static_cast<std::int64_t>(batch.size()));
  exported_.add(static_cast<double>(static_cast<std::int64_t>(batch.size()) - rejected));
  const bool told = why == std::exchange(trouble_, why);
  if (rejected == 0) co_return;
  failed_.add(static_cast<double>(rejected));
  if (!told) log::warn("{} spans were not taken by {}: {}", rejected, options_.endpoint.to_string(), why);
}

}  // namespace llmd::tracing
