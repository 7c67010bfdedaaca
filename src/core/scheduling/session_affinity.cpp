#include "scheduling/session_affinity.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <variant>

#include "base/hash.h"
#include "scheduling/handlers/disagg_profile_handler.h"
#include "scheduling/header_name.h"
#include "scheduling/lru_map.h"
#include "scheduling/nearest_name.h"
#include "scheduling/session_affinity_parameters.h"

namespace llmd::scheduling {
namespace {

constexpr std::string_view kSessionIdHeader = "x-session-id";
constexpr std::string_view kAgentIdentity = "agent-identity";
// What coding agents send, in the order that counts.
constexpr std::string_view kAgentHeaders[] = {"x-claude-code-session-id", "x-session-affinity", "session-id",
                                              "session_id"};

/// Where sessions are. Sessions and endpoints are known by hashes: two that collide share a binding, which costs
/// cached blocks and nothing else.
class SessionBindings final : public PluginMemory {
 public:
  /// The endpoint of a session, 0 if it has none.
  [[nodiscard]] std::uint64_t endpoint_of(std::uint64_t session, TimePoint now, Duration ttl) noexcept {
    const std::scoped_lock lock{mutex_};
    const Binding* binding = bindings_.find(session);
    return binding == nullptr || now - binding->used > ttl ? 0 : binding->endpoint;
  }
  /// Notes whether a request found its session's endpoint among the candidates.
  void found(std::uint64_t session, std::uint64_t request, bool present) noexcept {
    const std::scoped_lock lock{mutex_};
    Binding* const binding = bindings_.find(session);
    if (binding == nullptr) return;
    if (!present) {
      binding->missed_by = request;
    } else if (binding->missed_by == request) {
      binding->missed_by = 0;  // another profile of the same request has it
    }
  }
  void bind(std::uint64_t session, std::uint64_t endpoint, std::uint64_t request, TimePoint now, Duration ttl) {
    const std::scoped_lock lock{mutex_};
    while (bindings_.size() > 0 && now - bindings_.oldest().value.used > ttl) bindings_.erase_oldest();
    const Binding* known = bindings_.find(session);
    if (known != nullptr && known->endpoint != endpoint && known->missed_by != request) return;
    bindings_.touch(session) = {.endpoint = endpoint, .used = now};
    while (bindings_.size() > SessionAffinity::kSessionsMax) bindings_.erase_oldest();
  }

  [[nodiscard]] PluginState state() const override {
    const std::scoped_lock lock{mutex_};
    return {.figures = {{"totalSessions", static_cast<double>(bindings_.size())},
                        {"maxSessions", static_cast<double>(SessionAffinity::kSessionsMax)}}};
  }

 private:
  struct Binding {
    std::uint64_t endpoint = 0;
    TimePoint used{};
    std::uint64_t missed_by = 0;  // the last request whose candidates did not have the endpoint; 0: none
  };
  mutable std::mutex mutex_;
  LruMap<Binding, std::map> bindings_;  // clients choose the keys
};

// The lowest bit is set, so that no hash means "none".
std::uint64_t id_of(std::string_view text) noexcept { return xxh64(text) | 1U; }

std::unexpected<Error> invalid(std::string_view owner, std::string_view what, std::string hint) {
  return fail(ErrorCode::kConfigInvalid, fmt::format("{}: {}", owner, what), std::move(hint));
}

void add_agent_headers(const ParameterReader& parameters, std::vector<SessionIdProducer>& sources) {
  const PluginInstance* plugin = parameters.first_of(kAgentIdentity);
  const ParameterValue* more = plugin == nullptr ? nullptr : plugin->parameters.find("additionalSessionHeaders");
  // That plugin's own parameters may not be checked yet.
  if (const auto* headers = more == nullptr ? nullptr : std::get_if<TextList>(more)) {
    for (const std::string& header : *headers) sources.push_back({.header = header_name(header), .cookie = {}});
  }
  for (const std::string_view header : kAgentHeaders) sources.push_back({.header = std::string{header}, .cookie = {}});
}

Result<SessionIdProducer> find_producer(std::string_view place, const ParameterReader& parameters,
                                        const std::string& name) {
  const PluginSpec& spec = SessionIdProducer::kSpec;
  const PluginInstance* producer = parameters.other(name);
  if (producer == nullptr || producer->type != spec.type) {
    return invalid(place, fmt::format("producer is \"{}\"; expected the name of a {}", name, spec.type),
                   fmt::format("configure a {} of this name, or read a header", spec.type));
  }
  LLMD_TRY_VOID(check_parameters(spec.type, spec.parameters, producer->parameters));
  return SessionIdProducer::read(ParameterReader{spec.parameters, producer->parameters});
}

Result<void> add_source(std::string_view place, const ParameterReader& source, const ParameterReader& parameters,
                        std::vector<SessionIdProducer>& sources) {
  const std::string header = source.text("header");
  const std::string attribute = source.text("attribute");
  const std::string producer = source.text("producer");
  if (header.empty() == attribute.empty()) {
    return invalid(place, header.empty() ? "neither header nor attribute is set" : "header and attribute are both set",
                   "set exactly one of them");
  }
  if (!header.empty()) {
    std::string name = header_name(header);
    if (name.empty()) name = kSessionTokenHeader;  // as llm-d has it
    sources.push_back({.header = std::move(name), .cookie = {}});
  } else if (attribute == kAgentIdentity && producer.empty()) {
    add_agent_headers(parameters, sources);
  } else if (attribute == SessionIdProducer::kAttribute) {
    LLMD_TRY(SessionIdProducer found, find_producer(place, parameters, producer));
    sources.push_back(std::move(found));
  } else {
    return invalid(place, fmt::format("nothing makes the attribute \"{}\" of producer \"{}\"", attribute, producer),
                   "use agent-identity without producer, or SessionIDDataKey with a session-id-producer");
  }
  return {};
}

Result<std::vector<SessionIdProducer>> read_sources(std::string_view owner, const ParameterReader& parameters) {
  std::vector<SessionIdProducer> sources;
  const std::vector<ParameterReader> given = parameters.objects(kSessionSources);
  for (std::size_t i = 0; i < given.size(); ++i) {
    LLMD_TRY_VOID(add_source(fmt::format("{}: {}[{}]", owner, kSessionSources, i), given[i], parameters, sources));
  }
  if (sources.empty()) sources.push_back({.header = std::string{kSessionIdHeader}, .cookie = {}});
  return sources;
}

/// The names of the stages' profiles, empty where the handler has no such stage.
Result<DisaggProfileHandler> stage_profiles(const ParameterReader& parameters) {
  for (const PluginSpec* spec : {&DisaggProfileHandler::kSpec, &DisaggProfileHandler::kPdSpec}) {
    const PluginInstance* handler = parameters.first_of(spec->type);
    if (handler == nullptr) continue;
    LLMD_TRY_VOID(check_parameters(spec->type, spec->parameters, handler->parameters));
    return DisaggProfileHandler::read(ParameterReader{spec->parameters, handler->parameters});
  }
  return DisaggProfileHandler{};
}

Result<SessionAffinity::Stage> stage_of(std::string_view owner, const ParameterReader& parameters) {
  const std::string profile = parameters.text("profileName");
  if (profile.empty()) return SessionAffinity::Stage::kDecode;
  std::vector<std::string_view> known;
  if (parameters.config() != nullptr) {
    for (const ProfileConfig& each : parameters.config()->profiles) known.push_back(each.name);
  }
  if (std::ranges::find(known, profile) == known.end()) {
    return invalid(owner, fmt::format("profileName is \"{}\", and there is no such profile", profile),
                   nearest_name_hint(profile, known));
  }
  LLMD_TRY(const DisaggProfileHandler stages, stage_profiles(parameters));
  if (profile == stages.prefill_profile) return SessionAffinity::Stage::kPrefill;
  return profile == stages.encode_profile ? SessionAffinity::Stage::kEncode : SessionAffinity::Stage::kDecode;
}

const Endpoint* endpoint_of(SessionAffinity::Stage stage, const Decision& decision) noexcept {
  switch (stage) {
    case SessionAffinity::Stage::kDecode: return decision.decode.get();
    case SessionAffinity::Stage::kPrefill: return decision.prefill.get();
    case SessionAffinity::Stage::kEncode: return decision.encode.empty() ? nullptr : decision.encode.front().get();
  }
  return nullptr;
}

}  // namespace

std::string session_token(std::string_view endpoint_name) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string token;
  for (std::size_t i = 0; i < endpoint_name.size(); i += 3) {
    const std::string_view part = endpoint_name.substr(i, 3);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = (group << 8U) | (k < part.size() ? static_cast<unsigned char>(part[k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) token += k <= part.size() ? kAlphabet[(group >> (18U - 6U * k)) & 63U] : '=';
  }
  return token;
}

Result<SessionAffinity> SessionAffinity::make(std::string_view owner, const ParameterReader& parameters) {
  Options options;
  LLMD_TRY(options.stage, stage_of(owner, parameters));
  if (parameters.text("strategy") == kSessionByToken) {
    options.token_header = header_name(parameters.text("encodedEndpointHeaderConfig.header"));
    if (options.token_header.empty()) options.token_header = kSessionTokenHeader;
    return SessionAffinity{std::move(options)};
  }
  LLMD_TRY(options.sources, read_sources(owner, parameters));
  const double ttl_seconds = parameters.number(kSessionTtl);
  options.ttl = milliseconds{static_cast<std::int64_t>((ttl_seconds > 0 ? ttl_seconds : kSessionTtlSeconds) * 1'000)};
  return SessionAffinity{std::move(options)};
}

std::string_view SessionAffinity::session_id(const RequestFacts& request) const noexcept {
  for (const SessionIdProducer& source : options_.sources) {
    if (const std::string_view id = source.session_id(request); !id.empty()) return id;
  }
  return {};
}

std::optional<EndpointIndex> SessionAffinity::bound(const PluginInput& input,
                                                    std::span<const EndpointIndex> candidates) const noexcept {
  const std::string_view text = by_token() ? input.request.header(options_.token_header) : session_id(input.request);
  if (text.empty()) return std::nullopt;
  std::uint64_t wanted = id_of(text);  // the token of an endpoint, or a session
  auto* const bindings = by_token() ? nullptr : static_cast<SessionBindings*>(input.memory);
  if (!by_token()) {
    wanted = bindings == nullptr ? 0 : bindings->endpoint_of(wanted, input.now, options_.ttl);
    if (wanted == 0) return std::nullopt;
  }
  const auto found = std::ranges::find_if(candidates, [&](EndpointIndex i) { return input.fixed[i].ids[0] == wanted; });
  if (bindings != nullptr && !candidates.empty())
    bindings->found(id_of(text), id_of(input.request.request_id), found != candidates.end());
  return found == candidates.end() ? std::nullopt : std::optional{*found};
}

FixedValue SessionAffinity::fixed_value(const Endpoint& endpoint) const {
  // Comparing tokens instead of names spares decoding what clients send.
  return {.ids = {id_of(by_token() ? session_token(endpoint.name) : endpoint.name)}};
}

std::unique_ptr<PluginMemory> SessionAffinity::make_memory() const {
  return by_token() ? nullptr : std::make_unique<SessionBindings>();
}

void SessionAffinity::sent(const SentRequest& sent, PluginMemory& memory) const {
  const Endpoint* endpoint = scheduling::endpoint_of(options_.stage, sent.decision);
  const std::string_view id = session_id(sent.request);
  if (endpoint == nullptr || id.empty()) return;
  static_cast<SessionBindings&>(memory).bind(id_of(id), id_of(endpoint->name), id_of(sent.request.request_id), sent.now,
                                             options_.ttl);
}

void SessionAffinity::answer(const AnsweredRequest& answered, std::vector<Header>& headers) const {
  if (!by_token()) return;
  const Endpoint* endpoint = options_.stage == Stage::kDecode
                                 ? &answered.endpoint
                                 : scheduling::endpoint_of(options_.stage, answered.decision);
  if (endpoint != nullptr) headers.emplace_back(options_.token_header, session_token(endpoint->name));
}

void SessionAffinity::headers_read(std::vector<std::string>& names) const {
  if (by_token()) names.push_back(options_.token_header);
  for (const SessionIdProducer& source : options_.sources) names.push_back(source.header);
}

}  // namespace llmd::scheduling
