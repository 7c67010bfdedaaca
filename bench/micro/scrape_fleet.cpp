// links: llmd_pool llmd_net llmd_runtime
// Question: what does looking at a fleet cost? The numbers that matter: the share of a core that the prober's loop
// takes with 1,000 endpoints asked every 50 ms, and the interval that it keeps. Arguments: endpoints, bytes of a page.
// The engines are one server in a process of its own, at a loopback address an endpoint. Estimate before measuring: one
// sendmsg, two recv and their share of epoll_wait make 10 us on loopback, parsing 4 KB 1 us, the pool 1 us: 20,000
// scrapes a second take 24 % of a core. A page of 50 KB: 30 us more to copy and read, so that 40 % of a core give
// 10,000 a second.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <string>
#include <thread>

#include "net/server.h"
#include "pool/endpoint_prober.h"
#include "runtime/loop.h"

namespace {

using namespace llmd;  // NOLINT(google-build-using-namespace): a program of one file

/// As vLLM writes it: mostly buckets of histograms, the few gauges among them.
std::string vllm_page(std::size_t bytes) {
  std::string page =
      "# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
      "# TYPE vllm:num_requests_running gauge\n"
      "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 3.0\n"
      "vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 7.0\n"
      "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} 0.25\n"
      "vllm:prompt_tokens_total{engine=\"0\",model_name=\"m\"} 123456.0\n"
      "vllm:prefix_cache_queries_total{engine=\"0\",model_name=\"m\"} 1000.0\n"
      "vllm:prefix_cache_hits_total{engine=\"0\",model_name=\"m\"} 250.0\n";
  for (int i = 0; page.size() + 110 < bytes; ++i) {
    page += fmt::format("vllm:e2e_request_latency_seconds_bucket{{engine=\"0\",le=\"{}.0\",model_name=\"m\"}} {}.0\n",
                        i, i * 3);
  }
  return page;
}

/// Serves until its parent ends. Writes its port to `out`.
[[noreturn]] void serve(std::size_t bytes, int out) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  Loop loop{"engines"};
  const std::string page = vllm_page(bytes);
  auto handler = [&page](net::Request request, net::Exchange& exchange) -> Task<void> {
    net::Response response;
    response.status = 200;
    if (request.path() == "/metrics") response.body = page;
    if (request.path() == "/v1/models") response.body = R"({"data":[{"id":"m"}]})";
    (void)co_await exchange.respond(std::move(response));
  };
  auto server = net::Server::listen({&loop}, {.listen = *net::Address::parse("0.0.0.0:0")}, handler);
  const std::string port = server ? fmt::format("{}\n", (*server)->address().to_string()) : std::string{"\n"};
  if (::write(out, port.data(), port.size()) < 0) std::_Exit(1);
  loop.run();
  std::_Exit(0);
}

struct Engines {
  explicit Engines(std::size_t bytes) {
    int pipe[2];
    if (::pipe(pipe) != 0) return;
    process = ::fork();
    if (process == 0) serve(bytes, pipe[1]);
    ::close(pipe[1]);
    char text[64] = {};
    const auto got = ::read(pipe[0], text, sizeof text - 1);
    ::close(pipe[0]);
    const std::string address{text, static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
    port = address.substr(address.rfind(':') + 1, address.find('\n') - address.rfind(':') - 1);
  }
  ~Engines() {
    ::kill(process, SIGKILL);
    ::waitpid(process, nullptr, 0);
  }
  Engines(const Engines&) = delete;
  Engines& operator=(const Engines&) = delete;
  pid_t process = -1;
  std::string port;
};

double cpu_seconds(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void BM_ScrapeFleet(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const Engines engines{static_cast<std::size_t>(state.range(1))};
  MetricsRegistry metrics;
  Loop loop{"probes"};
  pool::Pool pool{{}};
  std::vector<Endpoint> endpoints;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string url = fmt::format("http://127.1.{}.{}:{}", i / 250, 1 + i % 250, engines.port);
    endpoints.push_back({.name = fmt::format("default/pod-{}", i), .url = url, .labels = {}});
  }
  pool.set_endpoints(std::move(endpoints), SteadyClock::now());
  pool::ProberOptions options;
  options.metrics->interval = milliseconds{50};
  pool::EndpointProber prober{loop, pool, metrics, options};
  loop.post([&prober] { prober.start(); });
  std::thread thread{[&loop] { loop.run(); }};
  clockid_t clock{};
  ::pthread_getcpuclockid(thread.native_handle(), &clock);
  std::this_thread::sleep_for(std::chrono::seconds{2});  // connected, and the interval found
  const auto looks = [&pool] {
    std::uint64_t sum = 0;
    for (const auto& report : pool.report(SteadyClock::now())) sum += report.probes;
    return static_cast<double>(sum);
  };
  for ([[maybe_unused]] auto _ : state) {
    const double begin = cpu_seconds(clock);
    const double before = looks();
    const TimePoint start = SteadyClock::now();
    std::this_thread::sleep_for(std::chrono::seconds{3});
    const double seconds = to_seconds(SteadyClock::now() - start);
    const double made = looks() - before;
    const double cpu = cpu_seconds(clock) - begin;
    state.counters["core_share"] = cpu / seconds;
    state.counters["looks/s"] = made / seconds;
    state.counters["us/look"] = made > 0 ? 1e6 * cpu / made : 0;
    state.counters["interval_ms"] = made > 0 ? 1e3 * seconds * static_cast<double>(count) / made : 0;
  }
  loop.post([&] {
    prober.stop();
    loop.stop();
  });
  thread.join();
  loop.discard();
}
BENCHMARK(BM_ScrapeFleet)
    ->Args({1'000, 4'096})
    ->Args({1'000, 50'000})
    ->Args({100, 200'000})
    ->Args({100, 4'096})
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
