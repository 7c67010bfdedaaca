#include "tracing/tracing_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace llmd::tracing {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

struct Read {
  Result<TracingOptions> options;
  std::vector<std::string> warnings;
};

Read read(const std::map<std::string, std::string>& environment) {
  Read made{.options = TracingOptions{}, .warnings = {}};
  made.options = tracing_options(
      [&](const char* name) -> std::optional<std::string> {
        const auto found = environment.find(name);
        return found == environment.end() ? std::nullopt : std::optional{found->second};
      },
      "llmd-epp", made.warnings);
  return made;
}

TEST(TracingOptions, ExportNothingUnlessAskedTo) {
  EXPECT_EQ(read({}).options->exporter, Exporter::kNone);
  EXPECT_EQ(read({{"OTEL_TRACES_EXPORTER", "none"}, {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"}}).options->exporter,
            Exporter::kNone);
  EXPECT_EQ(read({{"OTEL_TRACES_EXPORTER", "console"}}).options->exporter, Exporter::kConsole);
  const Read other = read({{"OTEL_TRACES_EXPORTER", "zipkin"}});
  EXPECT_EQ(other.options->exporter, Exporter::kNone);
  EXPECT_THAT(other.warnings, ElementsAre(HasSubstr("zipkin")));
}

TEST(TracingOptions, FindTheCollector) {
  const Read local = read({{"OTEL_TRACES_EXPORTER", "otlp"}});
  EXPECT_EQ(local.options->endpoint.to_string(), "localhost:4317");
  EXPECT_THAT(local.options->resource, ElementsAre(Pair("service.name", "llmd-epp")));
  EXPECT_EQ(local.options->ratio, 0.1);
  const Read named = read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:1"},
                           {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4317/v1/traces"},
                           {"OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20x, other = 1"},
                           {"OTEL_EXPORTER_OTLP_TIMEOUT", "250"},
                           {"OTEL_TRACES_SAMPLER_ARG", "0.5"},
                           {"OTEL_RESOURCE_ATTRIBUTES", "service.name=a,k8s.pod.name=p%2Cq"},
                           {"OTEL_SERVICE_NAME", "b"}});
  EXPECT_EQ(named.options->exporter, Exporter::kOtlp) << "an endpoint is named";
  EXPECT_EQ(named.options->endpoint.to_string(), "collector:4317");
  EXPECT_THAT(named.options->headers, ElementsAre(Pair("authorization", "Bearer x"), Pair("other", "1")));
  EXPECT_EQ(named.options->timeout, milliseconds{250});
  EXPECT_EQ(named.options->ratio, 0.5);
  EXPECT_THAT(named.options->resource, ElementsAre(Pair("k8s.pod.name", "p,q"), Pair("service.name", "b")));
  EXPECT_THAT(named.warnings, IsEmpty());
}

TEST(TracingOptions, TakeTlsWithoutASchemeUnlessItIsInsecure) {
  EXPECT_TRUE(read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317"}}).options->endpoint.tls);
  const Read plain = read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317"}, {"OTEL_EXPORTER_OTLP_INSECURE", "true"}});
  EXPECT_FALSE(plain.options->endpoint.tls);
}

TEST(TracingOptions, TellWhatIsWrong) {
  const Read bad = read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:notaport"}});
  ASSERT_FALSE(bad.options);
  EXPECT_THAT(bad.options.error().what, HasSubstr("OTEL_EXPORTER_OTLP_ENDPOINT"));
  const Read no_file =
      read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:1"}, {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere"}});
  EXPECT_FALSE(no_file.options);
  const Read odd = read({{"OTEL_TRACES_EXPORTER", "otlp"},
                         {"OTEL_TRACES_SAMPLER", "always_on"},
                         {"OTEL_TRACES_SAMPLER_ARG", "2"},
                         {"OTEL_EXPORTER_OTLP_TIMEOUT", "soon"},
                         {"OTEL_RESOURCE_ATTRIBUTES", "a=1,broken"}});
  ASSERT_TRUE(odd.options);
  EXPECT_EQ(odd.warnings.size(), 4U);
}

}  // namespace
}  // namespace llmd::tracing
