#include "scheduling/session_affinity.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduling/filters/session_affinity_filter.h"
#include "scheduling/producers/session_id_producer.h"
#include "scheduling/scorers/session_affinity_scorer.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::kNow;
using testing::make_plugin;
using testing::parameters_of;
using testing::PluginScene;
using testing::refusal;

using Scores = std::vector<float>;
using Names = std::vector<std::string>;

Parameters by_session_id(ObjectList sources = {}) {
  Parameters parameters = parameters_of({{"strategy", std::string{"session_id"}}});
  parameters.set("sessionIdConfig.sources", std::move(sources));
  return parameters;
}

Parameters attribute(const std::string& name, const std::string& producer = {}) {
  return parameters_of({{"attribute", name}, {"producer", producer}});
}

/// Three endpoints, the filter and the scorer of the same parameters.
struct SessionScene : PluginScene {
  explicit SessionScene(const Parameters& parameters = {}, const SchedulingConfig* config = nullptr)
      : PluginScene{{{.name = "ns/a"}, {.name = "ns/b"}, {.name = "ns/c"}}},
        filter{make_plugin(SessionAffinityFilter::kSpec, parameters, config)},
        scorer{make_plugin(SessionAffinityScorer::kSpec, parameters, config)} {
    memory = scorer.scorer->make_memory();
    request.request_id = "r1";
  }
  void name_session(const std::string& id) { request.headers = {{"x-session-id", id}}; }
  [[nodiscard]] Decision decide(EndpointIndex i) const {
    return {.outcome = Decision::Outcome::kDispatch, .decode = snapshot.endpoints[i].endpoint};
  }
  void send(EndpointIndex i, Duration after = {}) {
    const Decision decision = decide(i);
    scorer.scorer->sent({request, decision, kNow + after}, *memory);
  }
  [[nodiscard]] Scores scores() const { return PluginScene::scores(*scorer.scorer); }
  [[nodiscard]] Names kept() const { return PluginScene::kept(*filter.filter); }
  [[nodiscard]] std::vector<Header> answer(const Decision& decision, EndpointIndex served) const {
    std::vector<Header> headers;
    scorer.scorer->answer({request, decision, *snapshot.endpoints[served].endpoint}, headers);
    return headers;
  }

  PluginObjects filter;
  PluginObjects scorer;
};

TEST(SessionToken, IsPaddedBase64) {
  // RFC 4648, section 10; and what llm-d writes for a pod.
  const std::pair<std::string, std::string> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"},
                                                       {"default/pod-1", "ZGVmYXVsdC9wb2QtMQ=="},
                                                       {"\xfb\xff\xbf", "+/+/"}};
  for (const auto& [name, token] : cases) EXPECT_EQ(session_token(name), token) << name;
}

TEST(SessionAffinity, FollowsTheTokenOfTheLastAnswer) {
  SessionScene scene;
  EXPECT_EQ(scene.memory, nullptr) << "nothing is remembered here";
  EXPECT_EQ(scene.scores(), (Scores{0, 0, 0}));
  EXPECT_EQ(scene.kept(), (Names{"ns/a", "ns/b", "ns/c"}));
  const std::vector<Header> answer = scene.answer(scene.decide(0), 1);  // a fallback served it
  ASSERT_EQ(answer, (std::vector<Header>{{"x-session-token", session_token("ns/b")}}));
  scene.request.headers = answer;
  EXPECT_EQ(scene.scores(), (Scores{0, 1, 0}));
  EXPECT_EQ(scene.kept(), Names{"ns/b"});
  EXPECT_EQ(scene.reason(*scene.filter.filter, 0), "the request's session is bound to another endpoint");
}

TEST(SessionAffinity, IgnoresTokensThatNameNoCandidate) {
  SessionScene scene;
  for (const std::string& token : {session_token("ns/gone"), std::string{"!"}, std::string{}, std::string{"ns/a"}}) {
    scene.request.headers = {{"x-session-token", token}};
    EXPECT_EQ(scene.scores(), (Scores{0, 0, 0})) << token;
    EXPECT_EQ(scene.kept(), (Names{"ns/a", "ns/b", "ns/c"})) << token;
  }
  scene.request.headers = {{"x-session-token", session_token("ns/a")}};
  scene.candidates = {1, 2};
  EXPECT_EQ(scene.kept(), (Names{"ns/b", "ns/c"}));
  scene.candidates.clear();
  EXPECT_TRUE(scene.kept().empty());
  EXPECT_TRUE(scene.scores().empty());
}

TEST(SessionAffinity, UsesTheTokenHeaderThatItIsTold) {
  const std::pair<std::string, std::string> cases[] = {{" X-Pin ", "x-pin"}, {" ", "x-session-token"}};
  for (const auto& [given, header] : cases) {
    const SessionScene scene{parameters_of({{"encodedEndpointHeaderConfig.header", given}})};
    EXPECT_EQ(scene.answer(scene.decide(0), 0), (std::vector<Header>{{header, session_token("ns/a")}}));
    Names names;
    scene.filter.filter->headers_read(names);
    EXPECT_EQ(names, Names{header});
  }
}

TEST(SessionAffinity, BindsASessionToItsFirstEndpoint) {
  SessionScene scene{by_session_id()};
  scene.name_session("s");
  EXPECT_EQ(scene.scores(), (Scores{0, 0, 0}));
  EXPECT_EQ(scene.kept(), (Names{"ns/a", "ns/b", "ns/c"}));
  scene.send(2);
  EXPECT_EQ(scene.scores(), (Scores{0, 0, 1}));
  EXPECT_EQ(scene.kept(), Names{"ns/c"});
  EXPECT_TRUE(scene.answer(scene.decide(2), 2).empty()) << "the client names its session itself";
  scene.name_session("another");
  EXPECT_EQ(scene.scores(), (Scores{0, 0, 0}));
  scene.name_session(" ");
  scene.send(0);
  EXPECT_EQ(scene.scores(), (Scores{0, 0, 0}));
}

TEST(SessionAffinity, DoesNotMoveWhenAPickerPrefersAnother) {
  SessionScene scene{by_session_id()};
  scene.name_session("s");
  scene.send(2);
  EXPECT_EQ(scene.scores(), (Scores{0, 0, 1}));
  scene.send(0);
  EXPECT_EQ(scene.scores(), (Scores{0, 0, 1}));
}

TEST(SessionAffinity, MovesWhenTheEndpointIsNoCandidateAnyMore) {
  SessionScene scene{by_session_id()};
  scene.name_session("s");
  scene.send(2);
  scene.candidates = {0, 1};
  EXPECT_EQ(scene.scores(), (Scores{0, 0}));
  scene.send(0);
  scene.candidates = {0, 1, 2};
  EXPECT_EQ(scene.scores(), (Scores{1, 0, 0}));
}

TEST(SessionAffinity, DoesNotMoveForAnotherRequestsMiss) {
  SessionScene scene{by_session_id()};
  scene.name_session("s");
  scene.send(2);
  scene.candidates = {0, 1};
  EXPECT_EQ(scene.scores(), (Scores{0, 0}));
  scene.request.request_id = "r2";
  scene.send(0);
  scene.request.request_id = "r1";
  scene.candidates = {0, 1, 2};
  EXPECT_EQ(scene.scores(), (Scores{0, 0, 1})) << "and now another profile of r1 has it";
  scene.send(0);
  EXPECT_EQ(scene.scores(), (Scores{0, 0, 1}));
}

TEST(SessionAffinity, ForgetsWhatWasNotUsedForTheTimeToLive) {
  Parameters parameters = by_session_id();
  SessionScene scene{parameters};  // 300 s
  scene.name_session("s");
  scene.send(1, -seconds{300});
  EXPECT_EQ(scene.scores(), (Scores{0, 1, 0}));
  scene.memory = scene.scorer.scorer->make_memory();
  scene.send(1, -seconds{301});
  EXPECT_EQ(scene.scores(), (Scores{0, 0, 0}));
  scene.send(2);
  EXPECT_EQ(scene.scores(), (Scores{0, 0, 1})) << "bound anew";

  parameters.set("sessionIdConfig.evictionTtlSeconds", 0.5);
  SessionScene brief{parameters};
  brief.name_session("s");
  brief.send(1, -milliseconds{501});
  EXPECT_EQ(brief.scores(), (Scores{0, 0, 0}));
  parameters.set("sessionIdConfig.evictionTtlSeconds", std::int64_t{0});
  SessionScene normal{parameters};
  normal.name_session("s");
  normal.send(1, -seconds{299});
  EXPECT_EQ(normal.scores(), (Scores{0, 1, 0}));
}

TEST(SessionAffinity, RefreshesASessionWithEachUse) {
  SessionScene scene{by_session_id()};
  scene.name_session("s");
  scene.send(1, -seconds{500});
  scene.send(1, -seconds{250});
  EXPECT_EQ(scene.scores(), (Scores{0, 1, 0}));
}

TEST(SessionAffinity, DropsTheLeastRecentlyUsedSessionBeyondItsBound) {
  SessionScene scene{by_session_id()};
  for (std::size_t i = 0; i < SessionAffinity::kSessionsMax; ++i) {
    scene.name_session(std::to_string(i));
    scene.send(1);
  }
  scene.name_session("0");
  scene.send(1);  // used again
  scene.name_session("one more");
  scene.send(1);
  const std::pair<std::string, float> cases[] = {{"0", 1}, {"1", 0}, {"2", 1}, {"one more", 1}};
  for (const auto& [id, score] : cases) {
    scene.name_session(id);
    EXPECT_EQ(scene.scores()[1], score) << id;
  }
}

TEST(SessionAffinity, ActsAsIfNothingHadBeenWithoutMemory) {
  SessionScene scene{by_session_id()};
  scene.name_session("s");
  scene.send(1);
  scene.memory.reset();
  EXPECT_EQ(scene.scores(), (Scores{0, 0, 0}));
  EXPECT_EQ(scene.kept(), (Names{"ns/a", "ns/b", "ns/c"}));
}

SchedulingConfig config_of_sources() {
  SchedulingConfig config;
  config.plugins.push_back({.name = "cookie", .type = "session-id-producer"});
  config.plugins.back().parameters.set("cookieName", std::string{"sid"});
  config.plugins.push_back({.name = "agents", .type = "agent-identity"});
  config.plugins.back().parameters.set("additionalSessionHeaders", TextList{"X-Mine"});
  return config;
}

TEST(SessionAffinity, TakesTheFirstSourceThatNamesASession) {
  const SchedulingConfig config = config_of_sources();
  const Parameters header = parameters_of({{"header", std::string{"X-Chat"}}});
  SessionScene scene{by_session_id({header, attribute("agent-identity"), attribute("SessionIDDataKey", "cookie")}),
                     &config};
  Names read;
  scene.scorer.scorer->headers_read(read);
  EXPECT_EQ(read, (Names{"x-chat", "x-mine", "x-claude-code-session-id", "x-session-affinity", "session-id",
                         "session_id", "cookie"}));
  // What names the session "s" and what else is there. All but "s" is bound to nothing.
  const std::vector<Header> cases[] = {
      {{"x-chat", "s"}},
      {{"x-chat", " s "}, {"x-mine", "other"}},
      {{"x-mine", "s"}, {"session_id", "other"}},
      {{"x-chat", " "}, {"x-claude-code-session-id", "s"}, {"x-session-affinity", "other"}},
      {{"x-session-affinity", "s"}, {"session-id", "other"}},
      {{"session-id", "s"}, {"session_id", "other"}},
      {{"session_id", "s"}, {"cookie", "sid=other"}},
      {{"cookie", "a=b; sid=s; c=d"}},
  };
  scene.request.headers = {{"x-chat", "s"}};
  scene.send(1);
  for (const auto& headers : cases) {
    scene.request.headers = headers;
    EXPECT_EQ(scene.scores(), (Scores{0, 1, 0})) << headers.front().first;
  }
  scene.request.headers = {{"x-chat", "other"}, {"x-mine", "s"}};
  EXPECT_EQ(scene.scores(), (Scores{0, 0, 0}));
}

TEST(SessionAffinity, RefusesSourcesThatNameNothing) {
  const SchedulingConfig config = config_of_sources();
  const struct {
    Parameters source;
    std::string what;
  } cases[] = {
      {{}, "neither header nor attribute is set"},
      {parameters_of({{"header", std::string{"h"}}, {"attribute", std::string{"a"}}}),
       "header and attribute are both set"},
      {attribute("user"), "nothing makes the attribute \"user\" of producer \"\""},
      {attribute("agent-identity", "agents"), "nothing makes the attribute \"agent-identity\" of producer \"agents\""},
      {attribute("SessionIDDataKey"), "producer is \"\"; expected the name of a session-id-producer"},
      {attribute("SessionIDDataKey", "agents"), "producer is \"agents\"; expected the name of a session-id-producer"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(refusal(SessionAffinityFilter::kSpec, by_session_id({c.source}), &config),
              "session-affinity-filter: sessionIdConfig.sources[0]: " + c.what);
  }
}

TEST(SessionAffinity, RefusesAWrongProducerStrategyAndTime) {
  SchedulingConfig config = config_of_sources();
  config.plugins.front().parameters.set("headerName", std::string{"h"});
  EXPECT_EQ(refusal(SessionAffinityScorer::kSpec, by_session_id({attribute("SessionIDDataKey", "cookie")}), &config),
            "session-id-producer has both headerName and cookieName");
  config.plugins.front().parameters.set("headerName", std::int64_t{1});
  EXPECT_EQ(refusal(SessionAffinityScorer::kSpec, by_session_id({attribute("SessionIDDataKey", "cookie")}), &config),
            "session-id-producer: headerName is 1; expected a text");
  EXPECT_EQ(refusal(SessionAffinityScorer::kSpec, parameters_of({{"strategy", std::string{"sticky"}}})),
            "session-affinity-scorer: strategy is \"sticky\"; expected one of encoded_endpoint_header, session_id");
  Parameters negative = by_session_id();
  negative.set("sessionIdConfig.evictionTtlSeconds", -1.0);
  EXPECT_EQ(
      refusal(SessionAffinityScorer::kSpec, negative),
      "session-affinity-scorer: sessionIdConfig.evictionTtlSeconds is -1; expected a number from 0 to 1000000000");
}

SchedulingConfig config_of_stages() {
  SchedulingConfig config;
  config.plugins.push_back({.name = "h", .type = "disagg-profile-handler"});
  config.plugins.back().parameters =
      parameters_of({{"profiles.prefill", std::string{"first"}}, {"profiles.encode", std::string{"eyes"}}});
  config.profiles = {{.name = "decode"}, {.name = "first"}, {.name = "eyes"}};
  return config;
}

TEST(SessionAffinity, KeepsTheEndpointOfTheProfileThatItIsTold) {
  const SchedulingConfig config = config_of_stages();
  const std::pair<std::string, EndpointIndex> cases[] = {{"", 0}, {"decode", 0}, {"first", 1}, {"eyes", 2}};
  for (const auto& [profile, kept] : cases) {
    Parameters parameters = by_session_id();
    parameters.set("profileName", profile);
    SessionScene scene{parameters, &config};
    scene.name_session("s");
    Decision decision = scene.decide(0);
    decision.prefill = scene.snapshot.endpoints[1].endpoint;
    decision.encode = {scene.snapshot.endpoints[2].endpoint};
    scene.scorer.scorer->sent({scene.request, decision, kNow}, *scene.memory);
    Scores expected(3, 0);
    expected[kept] = 1;
    EXPECT_EQ(scene.scores(), expected) << profile;

    const SessionScene by_token{parameters_of({{"profileName", profile}}), &config};
    const std::string name = scene.snapshot.endpoints[kept].endpoint->name;
    EXPECT_EQ(by_token.answer(decision, 0), (std::vector<Header>{{"x-session-token", session_token(name)}})) << profile;
  }
}

TEST(SessionAffinity, BindsNothingWhenTheProfileDidNotRun) {
  const SchedulingConfig config = config_of_stages();
  Parameters parameters = by_session_id();
  parameters.set("profileName", std::string{"first"});
  SessionScene scene{parameters, &config};
  scene.name_session("s");
  scene.send(0);
  EXPECT_EQ(scene.scores(), (Scores{0, 0, 0}));
  const SessionScene by_token{parameters_of({{"profileName", std::string{"eyes"}}}), &config};
  EXPECT_TRUE(by_token.answer(by_token.decide(0), 0).empty());
}

TEST(SessionAffinity, RefusesAProfileThatThereIsNot) {
  const SchedulingConfig config = config_of_stages();
  EXPECT_EQ(refusal(SessionAffinityScorer::kSpec, parameters_of({{"profileName", std::string{"frist"}}}), &config),
            "session-affinity-scorer: profileName is \"frist\", and there is no such profile");
}

TEST(SessionIdProducer, ReadsAHeaderOrACookie) {
  const struct {
    std::string parameter;
    std::string name;
    std::vector<Header> headers;
    std::string id;
  } cases[] = {
      {"headerName", " X-Chat ", {{"x-chat", " s 1 "}}, "s 1"},
      {"headerName", "x-chat", {{"cookie", "x-chat=s"}}, ""},
      {"cookieName", " sid ", {{"cookie", "sid=s"}}, "s"},
      {"cookieName", "sid", {{"cookie", "x=1;  sid = s"}}, ""},  // "sid " is another name
      {"cookieName", "sid", {{"cookie", "mysid=1; sid; sid=a=b ;sid=c"}}, "a=b"},
      {"cookieName", "sid", {{"cookie", "SID=1"}}, ""},
      {"cookieName", "sid", {{"cookie", ";;"}}, ""},
      {"cookieName", "sid", {}, ""},
  };
  for (const auto& c : cases) {
    const Parameters parameters = parameters_of({{c.parameter, c.name}});
    const auto producer = SessionIdProducer::read({SessionIdProducer::kSpec.parameters, parameters});
    ASSERT_TRUE(producer.has_value()) << c.name;
    RequestFacts request;
    request.headers = c.headers;
    EXPECT_EQ(producer->session_id(request), c.id) << c.name;
  }
}

TEST(SessionIdProducer, RefusesNeitherAndBoth) {
  EXPECT_EQ(refusal(SessionIdProducer::kSpec, {}), "session-id-producer has neither headerName nor cookieName");
  EXPECT_EQ(refusal(SessionIdProducer::kSpec, parameters_of({{"headerName", std::string{" "}}})),
            "session-id-producer has neither headerName nor cookieName");
  EXPECT_EQ(refusal(SessionIdProducer::kSpec,
                    parameters_of({{"headerName", std::string{"h"}}, {"cookieName", std::string{"c"}}})),
            "session-id-producer has both headerName and cookieName");
}

}  // namespace
}  // namespace llmd::scheduling
