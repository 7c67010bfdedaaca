#pragma once

#include <cstdint>
#include <string>

#include "base/rng.h"
#include "kube/client.h"
#include "kube/objects.h"
#include "kube/watch_decoder.h"
#include "net/client.h"
#include "runtime/event.h"

namespace llmd::kube {

struct ReflectorOptions {
  milliseconds backoff_min{100};  // after a failure; doubles
  milliseconds backoff_max{10'000};
  milliseconds absent_retry{30'000};  // the same, for a resource that was never there
  milliseconds gone_after{60'000};    // a resource that was there and is not found for so long is absent
  std::size_t page_objects = 500;
};

/// Keeps a sink at what a list of the server is: lists it, then watches it from there on; after a cut it goes on where
/// it was, and where the server no longer knows that (410) it lists again. Of the client's loop.
class Reflector {
 public:
  /// All must outlive run().
  Reflector(Client& client, Resource resource, ObjectSink& sink, ReflectorOptions options, std::uint64_t seed);

  /// Until stop().
  [[nodiscard]] Task<void> run();
  /// The sink hears nothing any more.
  void stop();
  /// The list has come once, or it is known not to be there.
  [[nodiscard]] bool synced() const noexcept { return synced_; }

 private:
  enum class Next : std::uint8_t { kWatch, kList, kListLater };
  [[nodiscard]] Task<Next> list();
  [[nodiscard]] Task<Next> watch();
  [[nodiscard]] Next take(WatchEvent event);
  [[nodiscard]] Next refused(int status, std::string_view body);
  [[nodiscard]] std::string query(std::string_view more) const;
  [[nodiscard]] Task<void> pause(milliseconds around);
  [[nodiscard]] Task<void> back_off();
  void tell(const std::string& trouble);

  Client& client_;
  const Resource resource_;
  ObjectSink& sink_;
  const ReflectorOptions options_;
  Rng chance_;
  net::CancelToken token_;
  Event stopped_;
  std::string version_;
  bool synced_ = false;
  bool listed_ = false;  // and not absent since
  TimePoint not_found_since_ = TimePoint::max();
  milliseconds backoff_{};
  std::string trouble_;  // that was logged last
};

}  // namespace llmd::kube
