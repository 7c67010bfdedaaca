#include "kvevents/publisher_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kvevents/publisher.h"

namespace llmd::kvevents {
namespace {

using testing::HasSubstr;

TEST(PublisherOptions, TakeWhatVllmsDeploymentsSay) {
  const auto options = parse_publisher_options(
      R"({"enable_kv_cache_events":true,"publisher":"zmq","endpoint":"tcp://indexer:5557",
          "replay_endpoint":"tcp://*:5558","buffer_steps":7,"hwm":8,"max_queue_size":9,"topic":"kv@10.0.0.1:8000@m"})");
  ASSERT_TRUE(options.has_value()) << options.error().to_string();
  EXPECT_EQ(*options, (PublisherOptions{.enabled = true,
                                        .endpoint = "tcp://indexer:5557",
                                        .replay_endpoint = "tcp://*:5558",
                                        .buffer_steps = 7,
                                        .hwm = 8,
                                        .max_queue_size = 9,
                                        .topic = "kv@10.0.0.1:8000@m"}));
}

TEST(PublisherOptions, PublishOnlyIfAskedTo) {
  struct Case {
    const char* json;
    bool enabled;
  };
  for (const Case& each : {Case{"{}", false}, Case{R"({"enable_kv_cache_events": false, "publisher": "zmq"})", false},
                           Case{R"({"enable_kv_cache_events": true})", true},
                           Case{R"({"enable_kv_cache_events":true,"publisher":null})", true},
                           Case{R"({"enable_kv_cache_events": true, "publisher": "null"})", false},
                           Case{R"({"enable_kv_cache_events": true, "replay_endpoint": null})", true}}) {
    const auto options = parse_publisher_options(each.json);
    ASSERT_TRUE(options.has_value()) << each.json << options.error().to_string();
    EXPECT_EQ(options->enabled, each.enabled) << each.json;
  }
}

TEST(PublisherOptions, SayWhatIsWrongWithTheRest) {
  struct Case {
    const char* json;
    const char* says;
  };
  for (const Case& each :
       {Case{"", "no JSON object"}, Case{"[]", "no JSON object"}, Case{"{", "--kv-events-config"},
        Case{R"({"enable_kv_cache_event": true})", "did you mean enable_kv_cache_events?"},
        Case{R"({"publisher": "nats"})", "expected zmq or null"}, Case{R"({"hwm": 0})", "hwm is 0; expected 1 to"},
        Case{R"({"buffer_steps": "x"})", "buffer_steps"},
        Case{R"({"endpoint": "inproc://x"})", "give tcp://HOST:PORT or ipc://PATH"},
        Case{R"({"endpoint": "tcp://*"})", "names no port"},
        Case{R"({"replay_endpoint": "tcp://*:99999"})", "names no port"},
        Case{R"({"enable_kv_cache_events": 1})", "enable_kv_cache_events"}}) {
    const auto options = parse_publisher_options(each.json);
    ASSERT_FALSE(options.has_value()) << each.json;
    EXPECT_EQ(options.error().code, ErrorCode::kConfigInvalid);
    EXPECT_THAT(options.error().to_string(), HasSubstr(each.says)) << each.json;
    EXPECT_THAT(options.error().what, HasSubstr("--kv-events-config")) << each.json;
  }
}

TEST(PublisherOptions, GiveEachEndpointAPortOfItsOwn) {
  EXPECT_EQ(*place_of("tcp://*:5557", 0), "tcp://*:5557");
  EXPECT_EQ(*place_of("tcp://*:5557", 3), "tcp://*:5560");
  EXPECT_EQ(*place_of("tcp://[::1]:5557", 1), "tcp://[::1]:5558");
  EXPECT_EQ(*place_of("tcp://*:0", 3), "tcp://*:0");
  EXPECT_FALSE(place_of("tcp://*:65535", 1).has_value());
  EXPECT_EQ(*place_of("ipc:///tmp/x", 0), "ipc:///tmp/x");
  EXPECT_FALSE(place_of("ipc:///tmp/x", 1).has_value());
}

TEST(PublisherOptions, RefuseRangesThatOverlap) {
  struct Case {
    const char* endpoint;
    const char* replay_endpoint;
    std::uint32_t endpoints;
    bool apart;
  };
  const Case cases[] = {
      {"tcp://*:5557", "tcp://*:5560", 3, true},
      {"tcp://*:5557", "tcp://*:5559", 3, false},
      {"tcp://*:5560", "tcp://*:5557", 3, true},
      {"tcp://*:5559", "tcp://127.0.0.1:5557", 3, false},
      {"tcp://*:5557", "tcp://*:5557", 1, false},
      {"tcp://*:5557", "tcp://*:5558", 1, true},
      {"tcp://*:0", "tcp://*:0", 9, true},
      {"tcp://*:1", "tcp://*:0", 9, true},
      {"tcp://indexer:5557", "tcp://*:5557", 9, true},
      {"tcp://*:5557", "", 9, true},
      {"ipc:///tmp/x", "ipc:///tmp/x", 1, false},
      {"ipc:///tmp/x", "ipc:///tmp/y", 1, true},
  };
  for (const Case& each : cases) {
    const PublisherOptions options{.endpoint = each.endpoint, .replay_endpoint = each.replay_endpoint};
    EXPECT_EQ(check_apart(options, each.endpoints).has_value(), each.apart)
        << each.endpoint << " and " << each.replay_endpoint << " of " << each.endpoints;
  }
}

TEST(PublisherOptions, BindWildcardsAndConnectToNames) {
  EXPECT_TRUE(binds("tcp://*:5557"));
  EXPECT_TRUE(binds("tcp://[::]:5557"));
  EXPECT_TRUE(binds("ipc:///tmp/x"));
  EXPECT_FALSE(binds("tcp://indexer:5557"));
  EXPECT_FALSE(binds("tcp://127.0.0.1:5557"));
}

TEST(PublisherOptions, TopicsNameEndpointAndModel) {
  EXPECT_EQ(topic_of("kv@{address}@{model}", "10.0.0.1:80", "m"), "kv@10.0.0.1:80@m");
  EXPECT_EQ(topic_of("{model}{model}", "a", "{model}"), "{model}{model}");
  EXPECT_EQ(topic_of("plain", "a", "m"), "plain");
}

}  // namespace
}  // namespace llmd::kvevents
