#include "tracing/tracer.h"

#include <gtest/gtest.h>

#include "base/protobuf_wire.h"
#include "rpc/server.h"
#include "runtime/testing/loop_thread.h"
#include "runtime/testing/run.h"

namespace llmd::tracing {
namespace {

std::vector<WireReader::Field> fields_of(std::string_view message) {
  std::vector<WireReader::Field> all;
  WireReader reader{message};
  for (WireReader::Field field; reader.next(field);) all.push_back(field);
  EXPECT_FALSE(reader.broken());
  return all;
}

/// What a collector got.
struct Collector {
  std::mutex mutex;
  std::vector<std::string> requests;
  std::string authorization;

  rpc::Method method() {
    return [this](rpc::ServerCall& call) -> Task<rpc::Status> { return take(*this, call); };
  }
  static Task<rpc::Status> take(Collector& self, rpc::ServerCall& call) {
    auto message = co_await call.read();
    {
      const std::scoped_lock lock{self.mutex};
      self.requests.push_back(message.value().value_or(""));
      self.authorization = call.metadata().get("authorization").value_or("");
    }
    std::vector<net::H2Bytes> answer;
    answer.push_back(net::own({}));
    const auto sent = co_await call.write(std::move(answer));
    co_return sent ? rpc::Status{} : rpc::status_of(sent.error());
  }
};

Span span_of(const TraceContext& context, std::string name) {
  return {.name = std::move(name),
          .kind = Span::Kind::kServer,
          .context = context,
          .begin = std::chrono::system_clock::time_point{seconds{1'000}},
          .end = std::chrono::system_clock::time_point{seconds{1'001}},
          .attributes = {{"text", std::string{"a"}}, {"count", std::int64_t{-2}}, {"share", 0.5}, {"yes", true}}};
}

TEST(Tracer, SamplesByItsParentOrItsRatio) {
  Loop loop{"home"};
  MetricsRegistry metrics;
  Rng chance{1};
  TracingOptions options{.exporter = Exporter::kConsole, .ratio = 0.25};
  const Tracer tracer{loop, options, metrics};
  int sampled = 0;
  for (int i = 0; i < 4'000; ++i) sampled += tracer.begin({}, chance).sampled ? 1 : 0;
  EXPECT_NEAR(sampled, 1'000, 120);
  const auto parent = parse_trace_context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "v=1");
  const TraceContext context = tracer.begin(parent, chance);
  EXPECT_TRUE(context.sampled);
  EXPECT_EQ(context.trace, parent->trace);
  EXPECT_NE(context.span, parent->span);
  EXPECT_EQ(context.state, "v=1");
}

TEST(Tracer, SendsToACollectorAndCountsWhatIsLost) {
  Collector collector;
  testkit::LoopThread there;
  rpc::ServerOptions listen;
  listen.h2.listen = {.host = "127.0.0.1", .port = 0, .unix_path = {}};
  auto server =
      rpc::Server::listen({&there.loop()}, std::move(listen),
                          {{"/opentelemetry.proto.collector.trace.v1.TraceService/Export", collector.method()}});
  ASSERT_TRUE(server);
  Loop loop{"home"};
  MetricsRegistry metrics;
  Rng chance{7};
  Tracer tracer{loop,
                {.exporter = Exporter::kOtlp,
                 .endpoint = (*server)->address(),
                 .headers = {{"authorization", "secret"}},
                 .resource = {{"service.name", "test"}}},
                metrics};
  TraceContext context = tracer.begin({}, chance);
  for (std::size_t i = 0; i < Tracer::kQueuedMax + 3; ++i) tracer.add(span_of(context, "work"));
  loop.spawn(tracer.run());
  testkit::run_task(loop, tracer.finish(seconds{10}));
  const std::scoped_lock lock{collector.mutex};
  ASSERT_EQ(collector.requests.size(), Tracer::kQueuedMax / Tracer::kBatchMax);
  EXPECT_EQ(collector.authorization, "secret");
  const auto resource_spans = fields_of(fields_of(collector.requests[0]).at(0).bytes);
  const auto scope_spans = fields_of(resource_spans.at(1).bytes);
  ASSERT_EQ(scope_spans.size(), 1 + Tracer::kBatchMax);
  const auto span = fields_of(scope_spans.at(1).bytes);
  EXPECT_EQ(span.at(0).bytes, std::string_view(reinterpret_cast<const char*>(context.trace.data()), 16));
  EXPECT_EQ(span.at(2).bytes, "work");
  EXPECT_EQ(span.at(4).value, 1'000'000'000'000ULL);
  EXPECT_EQ(metrics.counter("llmd_trace_spans_total", "", {{"result", "exported"}}).value(), Tracer::kQueuedMax);
  EXPECT_EQ(metrics.counter("llmd_trace_spans_total", "", {{"result", "dropped"}}).value(), 3);
}

TEST(Tracer, GoesOnWithoutACollector) {
  Loop loop{"home"};
  MetricsRegistry metrics;
  Rng chance{7};
  Tracer tracer{
      loop, {.exporter = Exporter::kOtlp, .endpoint = {.host = "127.0.0.1", .port = 1, .unix_path = {}}}, metrics};
  tracer.add(span_of(tracer.begin({}, chance), "lost"));
  loop.spawn(tracer.run());
  testkit::run_task(loop, tracer.finish(seconds{10}));
  EXPECT_EQ(metrics.counter("llmd_trace_spans_total", "", {{"result", "failed"}}).value(), 1);
}

TEST(Otlp, TellsWhatACollectorRejected) {
  EXPECT_EQ(otlp_rejected("").first, 0);
  const std::string partial = WireWriter{}.varint(1, 3).bytes(2, "too old").text();
  EXPECT_EQ(otlp_rejected(WireWriter{}.bytes(1, partial).text()), (std::pair<std::int64_t, std::string>{3, "too old"}));
}

TEST(Otlp, WritesALineForPeople) {
  TraceContext context;
  context.trace[15] = 1;
  context.span[7] = 2;
  Span span = span_of(context, "a \"b\"");
  span.parent[0] = 0xab;
  EXPECT_EQ(span_line(span),
            "{\"name\":\"a \\u0022b\\u0022\",\"trace_id\":\"00000000000000000000000000000001\","
            "\"span_id\":\"0000000000000002\",\"parent_span_id\":\"ab00000000000000\","
            "\"start_ns\":1000000000000,\"end_ns\":1001000000000,\"failed\":false,"
            "\"attributes\":{\"text\":\"a\",\"count\":-2,\"share\":0.5,\"yes\":true}}");
}

}  // namespace
}  // namespace llmd::tracing
