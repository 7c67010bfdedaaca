#include "discovery/dns_source.h"

#include <algorithm>
#include <utility>

#include "telemetry/log.h"

namespace llmd::discovery {
namespace {

bool same(const std::vector<Endpoint>& a, const std::vector<Endpoint>& b) {
  return std::ranges::equal(a, b, {}, &Endpoint::name, &Endpoint::name);  // an address is in the name
}

}  // namespace

DnsSource::DnsSource(Loop& loop, DnsSourceOptions options, Sink sink, MetricsRegistry& metrics)
    : loop_{loop},
      options_{std::move(options)},
      sink_{std::move(sink)},
      stopped_{loop},
      endpoints_{metrics.gauge("llmd_dns_endpoints", "Endpoints that DNS names")},
      refused_{
          metrics.gauge("llmd_dns_addresses_refused",
                        "Addresses that DNS names, and that may not be endpoints (loopback, link-local and such)")},
      failures_{metrics.counter("llmd_dns_failures_total", "Looks at DNS that failed; the endpoints stayed")} {}

void DnsSource::start() { loop_.spawn(keep_up()); }

void DnsSource::stop() { stopped_.set(); }

Task<void> DnsSource::keep_up() {
  while (!stopped_.is_set()) {
    // With a name: GCC 12 destroys a lambda that stands in a co_await twice.
    auto look = [name = options_.name, policy = options_.addresses, dns = options_.dns]() -> Result<DnsEndpoints> {
      return find_endpoints(name, policy,
                            [&dns](const std::string& host, DnsType type) { return look_up(host, type, dns); });
    };
    auto found = co_await threads_.run(loop_, SteadyClock::now() + options_.timeout, std::move(look));
    if (stopped_.is_set()) co_return;
    const milliseconds pause = take(std::move(found));
    (void)co_await stopped_.wait_until(SteadyClock::now() + pause);
  }
}

milliseconds DnsSource::take(Result<DnsEndpoints> found) {
  std::string trouble;
  if (!found) {
    failures_.add();
    trouble = found.error().to_string();
  } else if (!found->refused.empty()) {
    trouble = found->refused.front();
  }
  if (trouble != trouble_ && !trouble.empty()) log::warn("{}: {}", options_.name.to_string(), trouble);
  trouble_ = std::move(trouble);
  if (!found) return options_.retry;
  refused_.set(static_cast<double>(found->refused.size()));
  if (!same(found->endpoints, last_)) {
    log::info("{} stands for {} endpoints", options_.name.to_string(), found->endpoints.size());
    last_ = found->endpoints;
    endpoints_.set(static_cast<double>(last_.size()));
    sink_(std::move(found->endpoints));
  }
  return std::clamp(std::chrono::duration_cast<milliseconds>(found->ttl), options_.interval_min, options_.interval_max);
}

}  // namespace llmd::discovery
