#include "rpc/ext_proc/processing_request.h"

#include <gtest/gtest.h>

#include "base/protobuf_wire.h"

namespace llmd::rpc::ext_proc {
namespace {

std::string header(std::string_view key, std::string_view value, std::string_view raw) {
  const std::string header = WireWriter{}.bytes(1, key).bytes(2, value).bytes(3, raw).text();
  return WireWriter{}.bytes(1, header).text();
}
std::string entry(std::string_view key, std::string_view value) {
  const std::string entry = WireWriter{}.bytes(1, key).bytes(2, value).text();
  return WireWriter{}.bytes(1, entry).text();
}
std::string text_value(std::string_view text) { return WireWriter{}.bytes(3, text).text(); }

TEST(ProcessingRequest, ReadsHeadersAndPrefersTheirRawValues) {
  const std::string map = header(":path", "", "/v1/completions") + header("x-a", "plain", "");
  const std::string headers = WireWriter{}.bytes(1, map).varint(3, 1).text();
  const std::string message = WireWriter{}.bytes(2, headers).text();
  ProcessingRequest request;
  ASSERT_TRUE(parse(message, request));
  EXPECT_EQ(request.part, ProcessingRequest::Part::kRequestHeaders);
  EXPECT_EQ(request.header(":path"), "/v1/completions");
  EXPECT_EQ(request.header("x-a"), "plain");
  EXPECT_FALSE(request.header("x-b"));
  EXPECT_TRUE(request.end_of_stream);
  EXPECT_FALSE(request.subset);
}

TEST(ProcessingRequest, ReadsBodiesWhereverTheyEnd) {
  for (const bool ends : {false, true}) {
    const std::string body = WireWriter{}.bytes(1, "chunk").varint(2, ends ? 1 : 0).text();
    for (const auto& [number, part] : {std::pair{4U, ProcessingRequest::Part::kRequestBody},
                                       std::pair{5U, ProcessingRequest::Part::kResponseBody}}) {
      const std::string message = WireWriter{}.bytes(number, body).text();
      ProcessingRequest request;
      ASSERT_TRUE(parse(message, request));
      EXPECT_EQ(request.part, part);
      EXPECT_EQ(request.body, "chunk");
      EXPECT_EQ(request.end_of_stream, ends);
    }
  }
}

TEST(ProcessingRequest, ReadsWhichEndpointsMayBePickedAndWhichServed) {
  const std::string list = WireWriter{}.bytes(1, text_value("10.0.0.1:80")).bytes(1, text_value("10.0.0.2")).text();
  const std::string hint = entry("x-gateway-destination-endpoint-subset", WireWriter{}.bytes(6, list).text());
  const std::string served = entry("x-gateway-destination-endpoint-served", text_value("10.0.0.9:80"));
  const std::string metadata = entry("envoy.lb.subset_hint", hint) + entry("envoy.lb", served) + entry("other", served);
  ProcessingRequest request;
  const std::string whole = WireWriter{}.bytes(8, metadata).text();
  ASSERT_TRUE(parse(whole, request));
  EXPECT_EQ(request.subset, (std::vector<std::string_view>{"10.0.0.1:80", "10.0.0.2"}));
  EXPECT_EQ(request.served, "10.0.0.9:80");

  const std::string nobody = entry("x-gateway-destination-endpoint-subset", WireWriter{}.bytes(6, "").text());
  const std::string message = WireWriter{}.bytes(8, entry("envoy.lb.subset_hint", nobody)).text();
  ASSERT_TRUE(parse(message, request));
  ASSERT_TRUE(request.subset) << "an empty list is not the same as none";
  EXPECT_TRUE(request.subset->empty());
  EXPECT_TRUE(request.served.empty()) << "nothing is left of the message before";
}

}  // namespace
}  // namespace llmd::rpc::ext_proc
