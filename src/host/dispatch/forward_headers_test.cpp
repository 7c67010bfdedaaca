#include "dispatch/forward_headers.h"

#include <gtest/gtest.h>

#include <string>

namespace llmd::dispatch {
namespace {

std::string joined(const net::Headers& headers) {
  std::string text;
  for (const auto& [name, value] : headers) text += name + "=" + value + ";";
  return text;
}

TEST(ForwardHeaders, DropsWhatEndsAtThisHop) {
  net::Headers client;
  client.add("Host", "a");
  client.add("Content-Length", "3");
  client.add("Connection", "keep-alive, X-Private");
  client.add("x-private", "1");
  client.add("Accept", "*/*");
  EXPECT_EQ(joined(request_headers(client, {.request_id = "r"})), "Accept=*/*;x-request-id=r;");
}

TEST(ForwardHeaders, AClientCannotSteer) {
  net::Headers client;
  for (const char* name : {"X-Prefiller-Host-Port", "x-encoder-hosts-ports", "x-data-parallel-host-port",
                           "x-data-parallel-rank", "x-kv-cache-source-host-port", "x-gateway-destination-endpoint",
                           "X-Gateway-Destination-Endpoint-Subset", "x-llmd-anything", "x-llm-d-model-name-rewrite"}) {
    client.add(name, "evil:1");
    EXPECT_TRUE(is_steering_header(name)) << name;
  }
  client.add("x-llm-d-inference-objective", "batch");
  EXPECT_EQ(joined(request_headers(client, {.request_id = "r"})), "x-llm-d-inference-objective=batch;x-request-id=r;");
}

TEST(ForwardHeaders, KeepsTheKeyFromWorkersUnlessItIsTheirs) {
  net::Headers client;
  client.add("Authorization", "Bearer k");
  EXPECT_EQ(joined(request_headers(client, {.request_id = "r"})), "x-request-id=r;");
  EXPECT_EQ(joined(request_headers(client, {.request_id = "r", .keep_authorization = true})),
            "Authorization=Bearer k;x-request-id=r;");
  client.add("X-Api-Key", "k");
  EXPECT_EQ(joined(request_headers(client, {.request_id = "r"})), "x-request-id=r;");
}

TEST(ForwardHeaders, AnswersCarryOurRequestId) {
  net::Headers endpoint;
  endpoint.add("Content-Type", "application/json");
  endpoint.add("X-Request-Id", "theirs");
  endpoint.add("Transfer-Encoding", "chunked");
  EXPECT_EQ(joined(answer_headers(endpoint, "ours")), "Content-Type=application/json;x-request-id=ours;");
}

}  // namespace
}  // namespace llmd::dispatch
