#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/endpoint.h"
#include "model/request_facts.h"
#include "scheduling/plugin.h"

namespace llmd::scheduling {

/// Which endpoint has probably encoded which image, audio or video: a guess from what was sent to them. An endpoint
/// keeps its `items_max` most recently sent ones; of more than `endpoints_max` endpoints the one that was sent media
/// longest ago is forgotten. So there are at most items_max * endpoints_max items, of about 60 bytes each.
///
/// Thread-safe: matches share a lock, insert and remove take it alone.
class MediaIndex final : public PluginMemory {
 public:
  struct Options {
    std::uint32_t items_max = 2'048;      // of one endpoint
    std::uint32_t endpoints_max = 1'024;  // at least 1
    std::uint64_t seed = 0;               // drawn at random by the host, so that clients cannot aim at its tables
  };
  explicit MediaIndex(Options options) : options_{options} {}

  /// The endpoint was sent a prompt with this media.
  void insert(std::string_view endpoint, std::span<const MediaItem> media);

  /// Sets for each endpoint the weight of the media that it has, each item as often as it is listed. Changes no order
  /// of use. Pre: matched.size() == endpoints.size(). O(endpoints * media), no allocation.
  void match(std::span<const MediaItem> media, std::span<const EndpointState> endpoints,
             std::span<float> matched) const;

  /// Forgets the endpoint. Unknown names: nothing.
  void remove(std::string_view endpoint);

  /// How many items the endpoint is thought to have.
  [[nodiscard]] std::size_t size(std::string_view endpoint) const;
  [[nodiscard]] PluginState state() const override;

 private:
  /// A set of keys that loses the one that was added longest ago.
  class RecentKeys {
   public:
    void add(std::uint64_t key, std::uint32_t keys_max);
    [[nodiscard]] bool has(std::uint64_t key) const noexcept { return places_.contains(key); }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

   private:
    static constexpr std::uint32_t kNone = static_cast<std::uint32_t>(-1);
    struct Entry {
      std::uint64_t key = 0;
      std::uint32_t older = kNone;
      std::uint32_t newer = kNone;
    };
    void unlink(std::uint32_t place) noexcept;
    void link_newest(std::uint32_t place) noexcept;

    std::vector<Entry> entries_;
    std::unordered_map<std::uint64_t, std::uint32_t> places_;
    std::uint32_t oldest_ = kNone;
    std::uint32_t newest_ = kNone;
  };
  struct Held {
    RecentKeys keys;
    std::uint64_t used = 0;  // the insert that was the last
  };

  [[nodiscard]] std::uint64_t key_of(const MediaItem& item) const noexcept;
  void make_room();

  const Options options_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, Held, std::less<>> endpoints_;
  std::uint64_t inserts_ = 0;
};

}  // namespace llmd::scheduling
