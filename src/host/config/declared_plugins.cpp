#include "config/declared_plugins.h"

#include <array>

namespace llmd::config {
namespace {

using scheduling::ParameterSpec;
using scheduling::ParameterType;
using scheduling::PluginKind;
using scheduling::PluginSpec;
using scheduling::Stability;
using scheduling::Support;

constexpr std::array<std::string_view, 2> kSchemes{"http", "https"};
constexpr ParameterSpec text(std::string_view name, std::string_view normal, std::string_view help,
                             Support support = Support::kWorks) {
  return {.name = name, .type = ParameterType::kText, .text = normal, .help = help, .support = support};
}
constexpr ParameterSpec kScheme{.name = "scheme",
                                .type = ParameterType::kText,
                                .text = "http",
                                .choices = kSchemes,
                                .help = "how endpoints are asked",
                                .support = Support::kWaits};
constexpr ParameterSpec kVerify{.name = "insecureSkipVerify",
                                .type = ParameterType::kBool,
                                .number = 1,
                                .help = "with https: take any certificate",
                                .support = Support::kNoEffect};
constexpr ParameterSpec kCa = text("caCertPath", "", "with https: whom to trust", Support::kWaits);
constexpr ParameterSpec kClientCert = text("clientCertPath", "", "with https: our certificate", Support::kWaits);
constexpr ParameterSpec kClientKey = text("clientKeyPath", "", "with https: our key", Support::kWaits);
constexpr ParameterSpec kInterval{
    .name = "interval", .type = ParameterType::kDuration, .help = "between two questions; empty: --probe-interval"};
constexpr ParameterSpec kUseNodeAddress{.name = "useNodeAddress",
                                        .type = ParameterType::kBool,
                                        .help =
                                            "ask at the address that the endpoint's label llm-d.ai/node-address "
                                            "says instead of the endpoint's own"};

constexpr std::array kMetricsSource{kScheme,
                                    text("path", "/metrics", "where endpoints show their metrics"),
                                    ParameterSpec{.name = "port",
                                                  .type = ParameterType::kInteger,
                                                  .max = 65'535,
                                                  .help = "another port than the endpoint's; 0: the same"},
                                    kVerify,
                                    kCa,
                                    kClientCert,
                                    kClientKey,
                                    kInterval};
constexpr std::array kModelsSource{
    kScheme,  text("path", "/v1/models", "where endpoints list their models"), kVerify, kCa, kClientCert, kClientKey,
    kInterval};
constexpr std::array kDcgmSource{kScheme,
                                 text("path", "/metrics", "where the DCGM exporter shows its metrics"),
                                 ParameterSpec{.name = "port",
                                               .type = ParameterType::kInteger,
                                               .number = 9'400,
                                               .max = 65'535,
                                               .help = "of the DCGM exporter"},
                                 kVerify,
                                 kUseNodeAddress,
                                 kInterval};
constexpr std::array kNodeSource{
    kScheme, text("path", "/metrics", "where node-exporter shows its metrics"),
    ParameterSpec{
        .name = "port", .type = ParameterType::kInteger, .number = 9'100, .max = 65'535, .help = "of node-exporter"},
    kUseNodeAddress, kInterval};
constexpr std::array kCustomMetric{text("attributeKey", "", "the attribute's name"),
                                   text("metricSpec", "", "name{label=value,...} of the series")};
constexpr std::array kEngine{text("name", "", "value of the engine label"),
                             text("queuedRequestsSpec", "", "series of waiting requests"),
                             text("runningRequestsSpec", "", "series of running requests"),
                             text("kvUsageSpec", "", "series of the used share of KV, 0 to 1"),
                             text("loraSpec", "", "series whose labels name LoRA adapters"),
                             text("cacheInfoSpec", "", "series whose labels tell block size and count"),
                             text("cacheBlockSizeLabelName", "", "its label of the tokens a block"),
                             text("cacheNumBlocksLabelName", "", "its label of the blocks"),
                             text("cacheBlockSizeSpec", "", "series of the tokens a block"),
                             text("cacheNumBlocksSpec", "", "series of the blocks"),
                             ParameterSpec{.name = "customMetrics",
                                           .type = ParameterType::kObjectList,
                                           .help = "further series, as attributes",
                                           .fields = kCustomMetric}};
constexpr std::array kCoreExtractor{
    text("engineLabelKey", "llm-d.ai/engine-type",
         "the label that names an endpoint's engine; without it the names on the page tell"),
    text("defaultEngine", "vllm", "the engine where a page has several engines' names and leaves it in doubt"),
    ParameterSpec{.name = "engineConfigs",
                  .type = ParameterType::kObjectList,
                  .help = "the series of further engines; one of a known name takes its place",
                  .fields = kEngine}};
constexpr std::array kTopology{text("hostname", "kubernetes.io/hostname", "the label that names the host"),
                               text("rack", "topology.kubernetes.io/rack", "the label that names the rack"),
                               text("zone", "topology.kubernetes.io/zone", "the label that names the zone"),
                               text("region", "topology.kubernetes.io/region", "the label that names the region")};
constexpr std::array kNotification{text("group", "", "API group"), text("version", "", "API version"),
                                   text("kind", "", "kind of the object")};
constexpr std::array kFileDiscovery{
    ParameterSpec{
        .name = "path", .type = ParameterType::kText, .help = "the file that lists the endpoints", .required = true},
    ParameterSpec{.name = "watchFile",
                  .type = ParameterType::kBool,
                  .help = "read it again when it changes",
                  .support = Support::kNoEffect}};
constexpr std::array kAgentIdentity{ParameterSpec{.name = "additionalSessionHeaders",
                                                  .type = ParameterType::kTextList,
                                                  .help = "headers that name a session, before the usual ones"}};
constexpr std::array kReportedAttribute{
    text("key.namespace", "envoy.lb", "namespace of the metadata"),
    ParameterSpec{
        .name = "key.name", .type = ParameterType::kText, .help = "name of the value in it", .required = true},
    ParameterSpec{.name = "expression",
                  .type = ParameterType::kText,
                  .help = "CEL over usage, of a number, cut to a whole one; 0 is not reported",
                  .required = true},
    text("condition", "", "CEL over usage, of a bool: whether to report; empty: always")};
constexpr std::array kReporter{ParameterSpec{.name = "attributes",
                                             .type = ParameterType::kObjectList,
                                             .help = "what is reported; usage has prompt_tokens, completion_tokens, "
                                                     "total_tokens, prompt_tokens_details.cached_tokens",
                                             .required = true,
                                             .fields = kReportedAttribute}};
constexpr std::array kHeadersHandler{text("prefillProfile", "prefill", "name of the prefill profile"),
                                     text("encodeProfile", "encode", "name of the encode profile")};
constexpr std::array kMulticlusterExtractor{text("kvCacheUtilizationMetric", "", "series of the cluster's KV use"),
                                            text("queueSizeMetric", "", "series of the cluster's queue")};

constexpr PluginSpec kSpecs[] = {
    {.type = "anthropic-parser", .kind = PluginKind::kParser, .help = "Anthropic messages"},
    {.type = "openai-parser",
     .kind = PluginKind::kParser,
     .help = "OpenAI chat, completions, responses, conversations, embeddings and images, and rerank"},
    {.type = "passthrough-parser", .kind = PluginKind::kParser, .help = "any path, without a look at the body"},
    {.type = "sglanghttp-parser", .kind = PluginKind::kParser, .help = "SGLang's generate"},
    {.type = "vertexai-parser", .kind = PluginKind::kParser, .help = "Vertex AI over gRPC"},
    {.type = "vllmgrpc-parser", .kind = PluginKind::kParser, .help = "vLLM's engine over gRPC"},
    {.type = "vllmhttp-parser", .kind = PluginKind::kParser, .help = "vLLM's generate with tokens"},
    {.type = "agent-identity",
     .kind = PluginKind::kRequestPlugin,
     .help = "names an agent's session by its headers",
     .parameters = kAgentIdentity,
     .stability = Stability::kAlpha},
    {.type = "destination-endpoint-served-verifier",
     .kind = PluginKind::kRequestPlugin,
     .help = "tells the endpoint that served in a response header, for conformance tests; behind a proxy"},
    {.type = "disagg-headers-handler",
     .kind = PluginKind::kRequestPlugin,
     .help = "sets the headers of prefill and encode legs, as the profile handler does by itself now",
     .parameters = kHeadersHandler,
     .stability = Stability::kDeprecated,
     .support = Support::kNoEffect},
    {.type = "prefill-header-handler",
     .kind = PluginKind::kRequestPlugin,
     .help = "the same, by its older name",
     .parameters = kHeadersHandler,
     .stability = Stability::kDeprecated,
     .support = Support::kNoEffect},
    {.type = "request-attribute-reporter",
     .kind = PluginKind::kRequestPlugin,
     .help = "reports values computed from usage as Envoy metadata; behind a proxy",
     .parameters = kReporter},
    {.type = "dcgm-data-source",
     .kind = PluginKind::kDataSource,
     .help = "asks NVIDIA's DCGM exporter",
     .parameters = kDcgmSource,
     .stability = Stability::kAlpha},
    {.type = "endpoint-notification-source",
     .kind = PluginKind::kDataSource,
     .help = "tells of endpoints that come and go",
     .support = Support::kNoEffect},
    {.type = "k8s-notification-source",
     .kind = PluginKind::kDataSource,
     .help = "tells of changes of a Kubernetes object",
     .parameters = kNotification,
     .support = Support::kWaits},
    {.type = "metrics-data-source",
     .kind = PluginKind::kDataSource,
     .help = "asks endpoints for their metrics",
     .parameters = kMetricsSource},
    {.type = "models-data-source",
     .kind = PluginKind::kDataSource,
     .help = "asks endpoints for their models",
     .parameters = kModelsSource},
    {.type = "node-exporter-data-source",
     .kind = PluginKind::kDataSource,
     .help = "asks Prometheus' node-exporter on an endpoint's machine",
     .parameters = kNodeSource,
     .ours = true},
    {.type = "multicluster-metrics-data-source",
     .kind = PluginKind::kDataSource,
     .help = "asks other clusters for their metrics",
     .parameters = kMetricsSource,
     .stability = Stability::kAlpha,
     .support = Support::kWaits},
    {.type = "core-metrics-extractor",
     .kind = PluginKind::kExtractor,
     .help = "reads queue, running requests, KV, adapters from engines' metrics",
     .parameters = kCoreExtractor},
    {.type = "dcgm-extractor",
     .kind = PluginKind::kExtractor,
     .help = "reads GPU use and GPU memory from DCGM's metrics; samples with a pod label count for that pod only",
     .stability = Stability::kAlpha},
    {.type = "node-exporter-extractor",
     .kind = PluginKind::kExtractor,
     .help = "reads use of CPU and memory, free bandwidth and lost packets of an endpoint's machine",
     .ours = true},
    {.type = "models-data-extractor", .kind = PluginKind::kExtractor, .help = "reads the models that endpoints list"},
    {.type = "multicluster-metrics-extractor",
     .kind = PluginKind::kExtractor,
     .help = "reads the metrics of other clusters",
     .parameters = kMulticlusterExtractor,
     .stability = Stability::kAlpha,
     .support = Support::kWaits},
    {.type = "topology-extractor",
     .kind = PluginKind::kExtractor,
     .help = "reads host, rack, zone and region from labels",
     .parameters = kTopology,
     .stability = Stability::kAlpha},
    {.type = "file-discovery",
     .kind = PluginKind::kDiscovery,
     .help = "endpoints from a file",
     .parameters = kFileDiscovery},
    {.type = "multicluster-file-discovery",
     .kind = PluginKind::kDiscovery,
     .help = "clusters from a file",
     .parameters = kFileDiscovery,
     .stability = Stability::kAlpha,
     .support = Support::kWaits},
};

}  // namespace

std::span<const PluginSpec> declared_plugins() noexcept { return kSpecs; }

}  // namespace llmd::config
