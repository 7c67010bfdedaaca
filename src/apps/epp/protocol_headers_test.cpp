#include "apps/epp/protocol_headers.h"

#include <gtest/gtest.h>

namespace llmd::epp {
namespace {

TEST(ProtocolHeaders, WhatIsBetweenPickerAndProxyIsNotRepeated) {
  for (const char* name : {"content-length", "x-gateway-destination-endpoint", "x-gateway-inference-objective",
                           "x-llm-d-model-name-rewrite", "x-slo-ttft-ms", "x-llm-d-video-resolution"})
    EXPECT_TRUE(is_system_owned(name)) << name;
  for (const char* name : {":path", "x-request-id", "x-prefiller-host-port", "content-type", ""})
    EXPECT_FALSE(is_system_owned(name)) << name;
}

TEST(ProtocolHeaders, WhatSteersEndpointsIsKnown) {
  for (const char* name : {"x-prefiller-host-port", "x-encoder-hosts-ports", "x-data-parallel-host-port",
                           "x-kv-cache-source-host-port", "x-llmd-anything"})
    EXPECT_TRUE(steers_endpoints(name)) << name;
  for (const char* name : {"x-request-id", "x-session-token", "x-prefiller"})
    EXPECT_FALSE(steers_endpoints(name)) << name;
}

TEST(ProtocolHeaders, PreferIsAListOfTokens) {
  for (const char* value : {"if-available", "respond-async, IF-Available", " if-available;wait=1 ,x", "a,if-available"})
    EXPECT_TRUE(prefers_if_available(value)) << value;
  for (const char* value : {"", "if-availabl", "x-if-available", "wait=if-available", ",,;"})
    EXPECT_FALSE(prefers_if_available(value)) << value;
}

}  // namespace
}  // namespace llmd::epp
