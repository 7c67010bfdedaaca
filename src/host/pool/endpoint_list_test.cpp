#include "pool/endpoint_list.h"

#include <gtest/gtest.h>

namespace llmd::pool {
namespace {

TEST(EndpointList, ReadsLlmdsFileForm) {
  const auto endpoints = parse_endpoint_file(
      "endpoints:\n"
      "- {name: a, address: 10.0.0.1, port: \"8000\", labels: {llm-d.ai/role: prefill}}\n"
      "- {name: a, namespace: other, address: 10.0.0.2, port: 8001}\n"
      "- {name: c, url: \"unix:/run/c.sock\"}\n",
      "pool.yaml");
  ASSERT_TRUE(endpoints) << endpoints.error().to_string();
  ASSERT_EQ(endpoints->size(), 3U);
  EXPECT_EQ((*endpoints)[0].name, "default/a");
  EXPECT_EQ((*endpoints)[0].url, "http://10.0.0.1:8000");
  EXPECT_EQ((*endpoints)[0].labels.at("llm-d.ai/role"), "prefill");
  EXPECT_EQ((*endpoints)[1].name, "other/a");
  EXPECT_EQ((*endpoints)[2].url, "unix:/run/c.sock");
}

TEST(EndpointList, TheLastOfEqualNamesCounts) {
  const auto endpoints = parse_endpoint_file(
      R"({"endpoints":[{"name":"a","address":"10.0.0.1","port":"1"},{"name":"a","address":"10.0.0.2","port":"2"}]})",
      "f");
  ASSERT_TRUE(endpoints);
  ASSERT_EQ(endpoints->size(), 1U);
  EXPECT_EQ((*endpoints)[0].url, "http://10.0.0.2:2");
}

TEST(EndpointList, NamesFileLineAndExpectationOfAWrongEntry) {
  struct Case {
    const char* name;
    const char* text;
    const char* part;
  };
  const Case cases[] = {
      {"host name", "endpoints:\n- {name: a, address: localhost, port: '1'}\n",
       "f:2: address is \"localhost\"; expected a literal"},
      {"no port", "endpoints:\n- {name: a, address: 1.2.3.4}\n", "port is \"\"; expected 1 to 65535"},
      {"large port", "endpoints:\n- {name: a, address: 1.2.3.4, port: '99999'}\n", "expected 1 to 65535"},
      {"no name", "endpoints:\n- {address: 1.2.3.4, port: '1'}\n", "name is missing"},
      {"labels", "endpoints:\n- {name: a, address: 1.2.3.4, port: '1', labels: [x]}\n", "labels is not a map"},
      {"no list", "endpoint: []\n", "endpoints is missing"},
      {"scalar", "hello", "endpoints is missing"},
      {"not YAML", "endpoints: [", "f:"},
      {"empty", "", "endpoints is missing"},
  };
  for (const Case& item : cases) {
    const auto endpoints = parse_endpoint_file(item.text, "f");
    ASSERT_FALSE(endpoints) << item.name;
    EXPECT_EQ(endpoints.error().code, ErrorCode::kConfigInvalid) << item.name;
    EXPECT_NE(endpoints.error().what.find(item.part), std::string::npos) << item.name << ": " << endpoints.error().what;
  }
}

TEST(EndpointList, ReadsUrlsFromTheCommandLine) {
  const auto endpoints = parse_endpoint_urls("http://127.0.0.1:8000,unix:/tmp/x.sock,[::1]:9");
  ASSERT_TRUE(endpoints) << endpoints.error().to_string();
  ASSERT_EQ(endpoints->size(), 3U);
  EXPECT_EQ((*endpoints)[0].name, "http://127.0.0.1:8000");
  EXPECT_FALSE(parse_endpoint_urls(""));
  EXPECT_FALSE(parse_endpoint_urls("http://"));
}

TEST(EndpointList, AMissingFileIsNamed) {
  const auto endpoints = load_endpoint_file("/nonexistent/pool.yaml");
  ASSERT_FALSE(endpoints);
  EXPECT_EQ(endpoints.error().code, ErrorCode::kFileNotFound);
  EXPECT_NE(endpoints.error().what.find("/nonexistent/pool.yaml"), std::string::npos);
}

TEST(MakeEndpoints, NamesAndLabelsWhatARoutesFileLists) {
  const config::PoolEntry entry{.name = "p",
                                .endpoint_file = {},
                                .endpoints = {{.name = {}, .url = "https://a:8443", .engine = "sglang", .line = 3},
                                              {.name = "b", .url = "http://b:1", .engine = {}, .labels = {{"x", "y"}}}},
                                .config_file = {}};
  const auto endpoints = make_endpoints(entry, "engine", "r.yaml");
  ASSERT_TRUE(endpoints) << endpoints.error().to_string();
  EXPECT_EQ(endpoints->at(0).name, "https://a:8443");
  EXPECT_EQ(endpoints->at(0).labels.at("engine"), "sglang");
  EXPECT_EQ(endpoints->at(1).name, "b");
  EXPECT_EQ(endpoints->at(1).labels.size(), 1U);
  EXPECT_TRUE(any_https(*endpoints));
}

TEST(MakeEndpoints, SaysWhichLineIsWrong) {
  const struct {
    const char* name;
    std::vector<config::PoolEndpoint> endpoints;
    const char* error;
  } kCases[] = {
      {"no address", {{.name = {}, .url = "ftp://a", .engine = {}, .line = 7}}, "r.yaml:7: address \"ftp://a\""},
      {"no port", {{.name = {}, .url = "a:0", .engine = {}, .line = 7}}, "r.yaml:7: \"a:0\" has no port"},
      {"twice",
       {{.name = "n", .url = "a:1", .engine = {}, .line = 7}, {.name = "n", .url = "a:2", .engine = {}, .line = 8}},
       "r.yaml:8: there are two endpoints \"n\""},
  };
  for (const auto& each : kCases) {
    const config::PoolEntry entry{.name = "p", .endpoint_file = {}, .endpoints = each.endpoints, .config_file = {}};
    const auto made = make_endpoints(entry, "engine", "r.yaml");
    ASSERT_FALSE(made) << each.name;
    EXPECT_EQ(made.error().code, ErrorCode::kConfigInvalid) << each.name;
    EXPECT_TRUE(made.error().what.starts_with(each.error)) << each.name << ": " << made.error().what;
  }
}

}  // namespace
}  // namespace llmd::pool
