#include "kube/reflector.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "telemetry/log.h"

namespace llmd::kube {
namespace {

constexpr std::size_t kPageBytesMax = 128 * 1024 * 1024;
constexpr std::size_t kRefusalBytesMax = 64 * 1024;
constexpr std::uint64_t kWatchSecondsMin = 240;

/// As a value in a query (RFC 3986).
std::string encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '_' || c == '.' || c == '~';
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace

std::string Resource::path() const {
  std::string text = group.empty() ? fmt::format("/api/{}", version) : fmt::format("/apis/{}/{}", group, version);
  if (!ns.empty()) text += fmt::format("/namespaces/{}", encoded(ns));
  return text + "/" + plural;
}

Reflector::Reflector(Client& client, Resource resource, ObjectSink& sink, ReflectorOptions options, std::uint64_t seed)
    : client_{client},
      resource_{std::move(resource)},
      sink_{sink},
      options_{options},
      chance_{seed},
      stopped_{client.loop()},
      backoff_{options.backoff_min} {}

void Reflector::stop() {
  stopped_.set();
  token_.cancel();
}

Task<void> Reflector::pause(milliseconds around) {
  const auto spread = static_cast<std::uint64_t>(around.count() / 2 + 1);
  const milliseconds length = around / 2 + milliseconds{static_cast<std::int64_t>(chance_.below(spread)) * 2};
  (void)co_await stopped_.wait_until(SteadyClock::now() + length);
}

Task<void> Reflector::back_off() {
  co_await pause(backoff_);
  backoff_ = std::min(backoff_ * 2, listed_ ? options_.backoff_max : options_.absent_retry);
}

void Reflector::tell(const std::string& trouble) {
  if (trouble != trouble_ && !trouble.empty()) log::warn("{}: {}", resource_.path(), trouble);
  trouble_ = trouble;
}

std::string Reflector::query(std::string_view more) const {
  std::string text = fmt::format("{}?{}", resource_.path(), more);
  if (!resource_.label_selector.empty()) text += "&labelSelector=" + encoded(resource_.label_selector);
  if (!resource_.field_selector.empty()) text += "&fieldSelector=" + encoded(resource_.field_selector);
  return text;
}

Task<void> Reflector::run() {
  Next next = Next::kList;
  while (!stopped_.is_set()) {
    if (next == Next::kListLater) co_await back_off();
    if (stopped_.is_set()) co_return;
    if (next == Next::kWatch) {
      next = co_await watch();
    } else {
      next = co_await list();
    }
    // A server that forgets each version at once is not asked in a circle.
    if (next == Next::kList && !stopped_.is_set()) co_await pause(options_.backoff_min);
  }
}

Reflector::Next Reflector::refused(int status, std::string_view body) {
  if (status == 410) return Next::kList;
  if (status != 404) tell(fmt::format("the API server answers {}: {}", status, body.substr(0, 512)));
  const TimePoint now = SteadyClock::now();
  not_found_since_ = status == 404 ? std::min(not_found_since_, now) : TimePoint::max();
  // A server that has just started says 403, and perhaps 404, of what it has not loaded yet: what is known stays.
  const bool gone = listed_ ? status == 404 && now - not_found_since_ >= options_.gone_after
                            : (status == 404 || status == 403) && !synced_;
  if (gone) {
    listed_ = false;
    synced_ = true;
    sink_.absent();
  }
  return Next::kListLater;
}

Task<Reflector::Next> Reflector::list() {
  std::vector<Object> objects;
  std::string from;
  do {
    const std::string page_of = from.empty() ? "" : "&continue=" + encoded(from);
    std::string target = query(fmt::format("limit={}{}", options_.page_objects, page_of));
    auto answer = co_await client_.get(std::move(target), token_);
    if (stopped_.is_set()) co_return Next::kListLater;
    if (!answer) {
      tell(answer.error().to_string());
      co_return Next::kListLater;
    }
    const int status = (*answer)->status();
    auto body = co_await (*answer)->read_all(status == 200 ? kPageBytesMax : kRefusalBytesMax);
    if (stopped_.is_set()) co_return Next::kListLater;
    if (status != 200) co_return refused(status, body ? std::string_view{*body} : std::string_view{});
    auto page = body ? read_list(*body) : Result<ListPage>{std::unexpected(body.error())};
    if (!page) {
      tell(page.error().to_string());
      co_return Next::kListLater;
    }
    std::ranges::move(page->objects, std::back_inserter(objects));
    version_ = std::move(page->resource_version);
    from = std::move(page->continue_token);
  } while (!from.empty());
  tell({});
  backoff_ = options_.backoff_min;
  not_found_since_ = TimePoint::max();
  synced_ = listed_ = true;
  sink_.replaced(std::move(objects));
  co_return Next::kWatch;
}

Task<Reflector::Next> Reflector::watch() {
  std::string target = query(fmt::format("watch=1&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}",
                                         encoded(version_), kWatchSecondsMin + chance_.below(kWatchSecondsMin)));
  auto answer = co_await client_.get(std::move(target), token_);
  if (stopped_.is_set()) co_return Next::kWatch;
  if (!answer) {
    tell(answer.error().to_string());
    co_await back_off();
    co_return Next::kWatch;
  }
  if (const int status = (*answer)->status(); status != 200) {
    const auto body = co_await (*answer)->read_all(kRefusalBytesMax);
    co_return refused(status, body ? std::string_view{*body} : std::string_view{});
  }
  tell({});
  WatchDecoder decoder;
  std::vector<WatchEvent> events;
  while (true) {
    const auto piece = co_await (*answer)->read();
    if (stopped_.is_set()) co_return Next::kWatch;
    if (!piece || piece->empty()) {
      co_await pause(options_.backoff_min);  // a server that ends each watch at once is not asked in a circle
      co_return Next::kWatch;
    }
    if (const auto fed = decoder.feed(*piece, events); !fed) {
      tell(fed.error().to_string());
      co_return Next::kListLater;
    }
    for (WatchEvent& event : events) {
      if (const Next next = take(std::move(event)); next != Next::kWatch) co_return next;
    }
    if (!events.empty()) backoff_ = options_.backoff_min;
    events.clear();
  }
}

Reflector::Next Reflector::take(WatchEvent event) {
  using enum WatchEvent::Kind;
  if (event.kind == kError) {
    if (event.code == 410) return Next::kList;
    tell(fmt::format("the watch ends with {}: {}", event.code, event.message.substr(0, 512)));
    return Next::kListLater;
  }
  if (!event.object.resource_version.empty()) version_ = event.object.resource_version;
  if (event.kind == kDeleted) sink_.deleted(std::move(event.object));
  if (event.kind == kAdded || event.kind == kModified) sink_.upserted(std::move(event.object));
  return Next::kWatch;
}

}  // namespace llmd::kube
