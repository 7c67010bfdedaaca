// links: llmd_app_epp
// The messages of one ext_proc stream in any order and cut, through the picker as Envoy would send them. Whatever
// comes, the stream ends, nothing stays counted or charged, each reply is one that Envoy knows, none follows an
// immediate one, and a body that goes on is the body that came.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/epp/stream.h"
#include "base/protobuf_wire.h"
#include "routing/live_config.h"
#include "telemetry/log.h"

namespace {

using namespace llmd;  // NOLINT(google-build-using-namespace): one file, many names
using Field = WireReader::Field;

void require(bool condition) {
  if (!condition) std::abort();
}

constexpr std::string_view kConfig = R"(
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- {type: queue-scorer}
- {type: prefix-cache-scorer}
- {type: max-score-picker}
- {type: session-affinity-scorer}
schedulingProfiles:
- name: default
  plugins:
  - {pluginRef: queue-scorer}
  - {pluginRef: prefix-cache-scorer}
  - {pluginRef: session-affinity-scorer}
  - {pluginRef: max-score-picker}
)";
constexpr std::size_t kBodyBytesMax = 4'096;
constexpr std::size_t kBudgetBytes = 1 << 20;

/// Bytes that are taken one after the other; zeros behind their end.
struct Input {
  std::string_view left;
  std::uint8_t byte() {
    if (left.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(left.front());
    left.remove_prefix(1);
    return value;
  }
  std::string_view bytes(std::size_t size) {
    const std::string_view taken = left.substr(0, size);
    left.remove_prefix(taken.size());
    return taken;
  }
};

std::string header(std::string_view name, std::string_view value) {
  return WireWriter{}.bytes(1, WireWriter{}.bytes(1, name).bytes(3, value).text()).text();
}

/// HttpHeaders of a request; `choice` says which.
std::string request_headers(std::uint8_t choice, std::uint8_t more) {
  constexpr std::string_view kPaths[] = {"/v1/completions", "/v1/chat/completions", "/v1/messages", "/other"};
  std::string map = header(":path", kPaths[choice & 3U]) + header(":method", "POST");
  if ((choice & 4U) != 0) map += header("x-request-id", "an-id");
  if ((choice & 8U) != 0) map += header("x-gateway-destination-endpoint", "1.2.3.4:5");
  if ((choice & 16U) != 0) map += header("content-length", "100");
  if ((more & 2U) != 0) map += header("prefer", "if-available");
  if ((more & 4U) != 0) map += header("x-session-token", "djA=");
  WireWriter headers;
  headers.bytes(1, map);
  if ((choice & 32U) != 0) headers.varint(3, 1);
  return std::move(headers).text();
}

std::string response_headers(std::uint8_t choice) {
  constexpr std::string_view kStates[] = {"200", "503", "404", "x"};
  std::string map = header(":status", kStates[choice & 3U]);
  map += header("content-type", (choice & 4U) != 0 ? "text/event-stream" : "application/json");
  if ((choice & 8U) != 0) map += header("x-envoy-upstream-service-time", "3");
  WireWriter headers;
  headers.bytes(1, map);
  if ((choice & 32U) != 0) headers.varint(3, 1);
  return std::move(headers).text();
}

/// One message for the stream, and what it adds to the request's body.
struct Message {
  std::string wire;
  bool is_request_body = false;
  bool is_raw = false;  // any bytes; what they add is not known
  std::string_view body{};
};

Message next_message(Input& input, bool first) {
  const std::uint8_t kind = input.byte() % 8;
  const std::uint8_t choice = input.byte();
  Message made;
  WireWriter writer;
  const auto body = [&] {
    made.body = input.bytes(input.byte());
    WireWriter part;
    part.bytes(1, made.body);
    if ((choice & 1U) != 0) part.varint(2, 1);
    return std::move(part).text();
  };
  switch (kind) {
    case 0: writer.bytes(2, request_headers(choice, input.byte())); break;
    case 1:
      made.is_request_body = true;
      writer.bytes(4, body());
      break;
    case 2: writer.bytes(6, ""); break;
    case 3: writer.bytes(3, response_headers(choice)); break;
    case 4: writer.bytes(5, body()); break;
    case 5: writer.bytes(7, ""); break;
    case 6:
      made.is_raw = true;
      made.wire = input.bytes(choice);
      return made;
    default: writer.bytes(2, request_headers(0, 0)); break;
  }
  if (first) writer.bytes(11, WireWriter{}.varint(1, choice >> 5U).varint(2, choice % 6).text());
  made.wire = std::move(writer).text();
  return made;
}

class ScriptedCall final : public rpc::ServerCall {
 public:
  ScriptedCall(Loop& on, Input script) : loop_{on}, script_{script} {}

  [[nodiscard]] const net::Headers& metadata() const noexcept override { return headers_; }
  [[nodiscard]] const std::string& peer() const noexcept override { return peer_; }
  [[nodiscard]] Loop& loop() noexcept override { return loop_; }
  [[nodiscard]] bool cancelled() const noexcept override { return left_; }
  void on_cancel(std::move_only_function<void()> /*callback*/) override {}
  void stop_reading() override { stopped_ = true; }

  [[nodiscard]] Task<Result<std::optional<std::string>>> read() override {
    if (stopped_ || left_) co_return fail(ErrorCode::kCancelled, "nothing more is read");
    if (script_.left.empty()) co_return std::optional<std::string>{};
    if (static_cast<std::uint8_t>(script_.left.front()) == 0xff) {
      left_ = true;
      co_return fail(ErrorCode::kCancelled, "the client has left");
    }
    Message message = next_message(script_, std::exchange(first_, false));
    raw_ = raw_ || message.is_raw;
    if (message.is_request_body) sent_ += message.body;
    co_return std::optional<std::string>{std::move(message.wire)};
  }

  [[nodiscard]] Task<Result<void>> write(std::vector<net::H2Bytes> message) override {
    if (left_) co_return fail(ErrorCode::kCancelled, "the client has left");
    require(!immediate_);
    std::string text;
    for (const net::H2Bytes& piece : message) text += piece.bytes;
    WireReader reader{text};
    std::size_t parts = 0;
    for (Field field; reader.next(field);) {
      require(field.type == WireReader::Type::kBytes && field.number >= 1 && field.number <= 8);
      parts += field.number != 8;
      immediate_ = immediate_ || field.number == 7;
      if (field.number == 3) note_body(field.bytes);
    }
    require(!reader.broken() && parts == 1);
    co_return Result<void>{};
  }

  /// In full duplex mode all that came goes back, once it is picked for.
  void check_body() const { require(raw_ || sent_.starts_with(came_)); }

 private:
  /// The pieces of BodyResponse {response = 1 {body_mutation = 3 {streamed_response = 3 {body = 1}}}}.
  void note_body(std::string_view part) {
    for (const std::uint32_t number : {1U, 3U, 3U, 1U}) {
      WireReader reader{part};
      part = {};
      for (Field field; reader.next(field);) {
        if (field.number == number) part = field.bytes;
      }
    }
    came_ += part;
  }

  Loop& loop_;
  Input script_;
  const net::Headers headers_;
  const std::string peer_ = "fuzzer";
  bool first_ = true;
  bool raw_ = false;
  bool left_ = false;
  bool stopped_ = false;
  bool immediate_ = false;
  std::string sent_;
  std::string came_;
};

/// What outlives a stream.
struct Picker {
  Loop home{"home"};
  MetricsRegistry registry;
  epp::OwnMetrics metrics{registry};
  eppmetrics::EppMetrics epp_metrics{registry, {.pool_name = "fuzz"}};
  discovery::RulesBoard rules;  // none
  Budget bodies{"request-bodies", kBudgetBytes};
  epp::StreamOptions options{.body_bytes_max = kBodyBytesMax};
  std::unique_ptr<routing::Plane> plane;

  Picker() {
    log::init({.level = log::Level::kError});
    const routing::ConfigSource source{.path = {}, .fallback = std::string{kConfig}, .checks_models = false};
    auto config = routing::load_config(source);
    require(config.has_value());
    routing::PlaneOptions made{.config_source = source, .config = *std::move(config)};
    for (const std::string_view name : {"a", "b", "c"}) {
      Endpoint endpoint;
      endpoint.name = name;
      endpoint.url = "http://127.0.0.1:900" + std::to_string(made.endpoints.size());
      made.endpoints.push_back(std::move(endpoint));
    }
    auto opened = routing::Plane::make(home, std::move(made), registry);
    require(opened.has_value());
    plane = *std::move(opened);
    for (const std::string_view name : {"a", "b", "c"})
      plane->pool().on_probe(name, {.readiness = pool::Probe::Readiness::kReady}, SteadyClock::now());
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Picker picker;
  Loop loop{"stream"};
  epp::StreamContext context{loop,           *picker.plane,      picker.options, picker.bodies,
                             picker.metrics, picker.epp_metrics, picker.rules};
  ScriptedCall call{loop, Input{{reinterpret_cast<const char*>(data), size}}};
  bool ended = false;
  loop.spawn([](epp::StreamContext& on, ScriptedCall& with, bool& done) -> Task<void> {
    {
      epp::Stream stream{on, with};
      [[maybe_unused]] const rpc::Status status = co_await stream.run();
    }
    done = true;
    on.loop.stop();
  }(context, call, ended));
  loop.run();
  require(ended);
  call.check_body();
  require(picker.bodies.used_bytes() == 0 && picker.metrics.streams.value() == 0);
  const auto view = picker.plane->pool().view(SteadyClock::now());
  for (const auto& counters : view->in_flight) {
    require(counters->requests.load() == 0 && counters->tokens.load() == 0 && counters->prefilling.load() == 0);
  }
  return 0;
}
