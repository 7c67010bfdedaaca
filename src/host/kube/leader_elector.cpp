#include "kube/leader_elector.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "kube/objects.h"
#include "telemetry/log.h"

namespace llmd::kube {
namespace {

using nlohmann::json;

constexpr std::size_t kLeaseBytesMax = 1024 * 1024;
constexpr int kCreated = 201;
constexpr int kOk = 200;

/// Kubernetes' MicroTime.
std::string wall_clock() {
  const auto now = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  const auto whole = std::chrono::time_point_cast<seconds>(now);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(whole)),
                     (now - whole).count());
}

std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

int number_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_integer() ? found->get<int>() : 0;
}

/// Error kProtocol: no lease.
Result<LeaseSpec> spec_of(const std::string& text) {
  const json lease = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!lease.is_object()) return fail(ErrorCode::kProtocol, "the server's lease is no JSON object");
  const json spec = lease.value("spec", json::object());
  if (!spec.is_object()) return LeaseSpec{};
  return LeaseSpec{.holder = text_of(spec, "holderIdentity"),
                   .duration_s = number_of(spec, "leaseDurationSeconds"),
                   .acquired = text_of(spec, "acquireTime"),
                   .renewed = text_of(spec, "renewTime"),
                   .transitions = number_of(spec, "leaseTransitions")};
}

/// The lease with this spec; all else stays as it is, its version too, by which the server refuses what is outdated.
std::string with_spec(const std::string& text, const LeaseSpec& spec) {
  json lease = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!lease.is_object()) lease = json::object();
  json& into = lease["spec"];
  if (!into.is_object()) into = json::object();
  into["holderIdentity"] = spec.holder;
  into["leaseDurationSeconds"] = spec.duration_s;
  into["acquireTime"] = spec.acquired;
  into["renewTime"] = spec.renewed;
  into["leaseTransitions"] = spec.transitions;
  return lease.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

LeaderElector::LeaderElector(Client& client, LeaderElectorOptions options, std::uint64_t seed)
    : client_{client},
      options_{std::move(options)},
      path_{Resource{.group = "coordination.k8s.io", .version = "v1", .plural = "leases", .ns = options_.ns}.path()},
      election_{options_.identity, options_.times},
      chance_{seed},
      stopped_{client.loop()} {}

void LeaderElector::stop() {
  stopped_.set();
  token_.cancel();
}

void LeaderElector::tell(const Result<void>& done) {
  const std::string trouble = done ? std::string{} : done.error().to_string();
  if (trouble != trouble_ && !trouble.empty()) log::warn("leader election: {}", trouble);
  trouble_ = trouble;
  const bool now = leads();
  if (now == std::exchange(led_, now)) return;
  log::info("leader election: {} {} by the lease {}/{}", options_.identity, now ? "leads" : "no longer leads",
            options_.ns, options_.lease);
}

Task<void> LeaderElector::run() {
  while (!stopped_.is_set()) {
    const Result<void> done = co_await attempt();
    if (stopped_.is_set()) break;
    tell(done);
    // Between attempts a fifth more or less, so that replicas do not meet.
    const double factor = 1 + 0.2 * chance_.uniform();
    const auto pause = std::chrono::duration_cast<Duration>(options_.times.retry * factor);
    [[maybe_unused]] const bool stopped = co_await stopped_.wait_until(SteadyClock::now() + pause);
  }
  const auto freed = election_.release(wall_clock());
  if (!freed) co_return;
  const std::string body = with_spec(held_, *freed);
  const Result<void> done = co_await write(body, /*creates=*/false);
  if (done) election_.written(*freed, SteadyClock::now());
  tell(done);
}

Task<Result<void>> LeaderElector::attempt() {
  auto text = co_await read();
  std::optional<LeaseSpec> seen;
  if (text) {
    held_ = *std::move(text);
    LLMD_CO_TRY(seen, spec_of(held_));
  } else if (text.error().code != ErrorCode::kNotFound) {
    co_return std::unexpected(std::move(text).error());
  }
  const auto wanted = election_.next(seen, SteadyClock::now(), wall_clock());
  if (!wanted) co_return Result<void>{};
  // What it becomes valid by is when it was asked for, not when the answer came.
  const TimePoint asked = SteadyClock::now();
  if (!seen) {
    held_ = json{{"apiVersion", "coordination.k8s.io/v1"},
                 {"kind", "Lease"},
                 {"metadata", {{"name", options_.lease}, {"namespace", options_.ns}}}}
                .dump();
  }
  const std::string body = with_spec(held_, *wanted);
  const Result<void> done = co_await write(body, /*creates=*/!seen);
  if (done) election_.written(*wanted, asked);
  co_return done;
}

Task<Result<std::string>> LeaderElector::read() {
  const std::string target = path_ + "/" + options_.lease;
  auto answer = co_await client_.get(target, token_);
  if (!answer) co_return std::unexpected(std::move(answer).error());
  auto body = co_await (*answer)->read_all(kLeaseBytesMax);
  if (!body) co_return std::unexpected(std::move(body).error());
  const int status = (*answer)->status();
  if (status == kOk) co_return *std::move(body);
  if (status == http_status(ErrorCode::kNotFound)) co_return fail(ErrorCode::kNotFound, "there is no lease yet");
  co_return fail(ErrorCode::kUpstreamFailed,
                 fmt::format("GET {} was answered {}: {}", target, status, refusal_text(*body)));
}

Task<Result<void>> LeaderElector::write(const std::string& body, bool creates) {
  const std::string target = creates ? path_ : path_ + "/" + options_.lease;
  // Not by the token that stop() cancels: a lease that is released is the last thing.
  net::CancelToken token;
  auto answer = co_await client_.send(creates ? "POST" : "PUT", target, body, token);
  if (!answer) co_return std::unexpected(std::move(answer).error());
  auto text = co_await (*answer)->read_all(kLeaseBytesMax);
  if (!text) co_return std::unexpected(std::move(text).error());
  const int status = (*answer)->status();
  if (status != kOk && status != kCreated) {
    co_return fail(ErrorCode::kUpstreamFailed,
                   fmt::format("{} was answered {}: {}", target, status, refusal_text(*text)));
  }
  held_ = *std::move(text);
  co_return Result<void>{};
}

}  // namespace llmd::kube
