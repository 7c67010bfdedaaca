#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduling/plugin_spec.h"
#include "scheduling/producers/session_id_producer.h"

namespace llmd::scheduling {

/// The value that session affinity writes back to the client to name an endpoint: RFC 4648's base64, padded.
[[nodiscard]] std::string session_token(std::string_view endpoint_name);

/// Keeps the requests of a session on one endpoint, by one of two strategies.
///
/// encoded_endpoint_header: the answer carries session_token() in a header, and the client sends it with the session's
/// next request. Nothing is remembered here.
///
/// session_id: the client names its session, and the endpoint that got the session's first request is remembered. The
/// session moves when a request finds that endpoint no longer among the candidates, but not when a picker merely
/// prefers another one. It is forgotten when it was not used for the time to live. At most kSessionsMax sessions are
/// remembered (about 150 bytes each); beyond, the one that was not used for longest goes.
class SessionAffinity {
 public:
  static constexpr std::size_t kSessionsMax = 100'000;
  /// Whose endpoint is kept.
  enum class Stage : std::uint8_t { kDecode, kPrefill, kEncode };
  struct Options {
    Stage stage = Stage::kDecode;
    std::string token_header{};                // in lower case; empty: by session id
    std::vector<SessionIdProducer> sources{};  // the first that yields an id counts
    milliseconds ttl{300'000};
  };
  explicit SessionAffinity(Options options) noexcept : options_{std::move(options)} {}

  /// Of kSessionAffinityParameters. Error kConfigInvalid: sources that name nothing, or a profile that there is not.
  /// `owner`: the plugin's type.
  [[nodiscard]] static Result<SessionAffinity> make(std::string_view owner, const ParameterReader& parameters);

  /// The candidate that the request's session is bound to. O(candidates), no allocation.
  [[nodiscard]] std::optional<EndpointIndex> bound(const PluginInput& input,
                                                   std::span<const EndpointIndex> candidates) const noexcept;

  // As in Plugin:
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const;
  [[nodiscard]] std::unique_ptr<PluginMemory> make_memory() const;
  void sent(const SentRequest& sent, PluginMemory& memory) const;
  void answer(const AnsweredRequest& answered, std::vector<Header>& headers) const;
  void headers_read(std::vector<std::string>& names) const;

 private:
  [[nodiscard]] bool by_token() const noexcept { return !options_.token_header.empty(); }
  [[nodiscard]] std::string_view session_id(const RequestFacts& request) const noexcept;

  Options options_;
};

/// A filter or scorer that keeps sessions together: all of Plugin but its verb.
template <class Verb>
class WithSessionAffinity : public Verb {
 public:
  explicit WithSessionAffinity(SessionAffinity affinity) noexcept : affinity_{std::move(affinity)} {}
  [[nodiscard]] bool has_fixed_value() const noexcept final { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const final { return affinity_.fixed_value(endpoint); }
  [[nodiscard]] std::unique_ptr<PluginMemory> make_memory() const final { return affinity_.make_memory(); }
  void sent(const SentRequest& sent, PluginMemory& memory) const final { affinity_.sent(sent, memory); }
  void answer(const AnsweredRequest& answered, std::vector<Header>& headers) const final {
    affinity_.answer(answered, headers);
  }
  void headers_read(std::vector<std::string>& names) const final { affinity_.headers_read(names); }

 protected:
  [[nodiscard]] const SessionAffinity& affinity() const noexcept { return affinity_; }

 private:
  SessionAffinity affinity_;
};

}  // namespace llmd::scheduling
