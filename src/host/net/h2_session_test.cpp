#include "net/h2_session.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/testing/h2_peer.h"

namespace llmd::net {
namespace {

struct Seen final : H2Stream {
  void on_data(std::string_view bytes) override { body += bytes; }
  void on_end() override { ended = true; }
  void on_close(H2Reset reason) override {
    ++closed;
    why = reason;
  }
  void on_sent() override { ++sent; }
  std::string body;
  bool ended = false;
  int closed = 0;
  int sent = 0;
  H2Reset why{};
};

/// A session and a client that talk until neither has more to say.
struct Pair {
  explicit Pair(const H2Limits& limits = {})
      : session{limits, [this](H2StreamId id, Request head) -> std::shared_ptr<H2Stream> {
                  heads[id] = std::move(head);
                  return refuses ? nullptr : (streams[id] = std::make_shared<Seen>());
                }} {}

  bool talk() {
    for (bool more = true; more;) {
      more = false;
      const std::string up = client.output();
      if (!up.empty()) {
        more = true;
        if (!session.receive(up)) return false;
      }
      for (std::vector<iovec> pieces = session.output(); !pieces.empty(); pieces = session.output()) {
        more = true;
        std::string down;
        for (const iovec& piece : pieces) down.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
        session.sent(down.size());
        if (!client.receive(down)) return false;
      }
    }
    return true;
  }

  std::map<H2StreamId, Request> heads;
  std::map<H2StreamId, std::shared_ptr<Seen>> streams;
  bool refuses = false;
  H2Session session;
  testkit::H2Peer client;
};

const std::vector<std::pair<std::string, std::string>> kPost{
    {":method", "POST"}, {":scheme", "http"}, {":path", "/a"}, {":authority", "host"}, {"x-a", "1"}};

TEST(H2Session, CarriesARequestAndItsAnswerWithTrailers) {
  Pair pair;
  const auto id = pair.client.request(kPost, /*ends=*/false);
  pair.client.send(id, "hello ", false);
  ASSERT_TRUE(pair.talk());
  pair.client.send(id, "there", true);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(pair.heads[id].method, "POST");
  EXPECT_EQ(pair.heads[id].target, "/a");
  EXPECT_EQ(pair.heads[id].headers.get("host"), "host");
  EXPECT_EQ(pair.heads[id].headers.get("x-a"), "1");
  EXPECT_EQ(pair.streams[id]->body, "hello there");
  EXPECT_TRUE(pair.streams[id]->ended);

  Headers head;
  head.add("Content-Type", "text/plain");
  Headers trailers;
  trailers.add("grpc-status", "0");
  pair.session.send_head(id, 200, head);
  pair.session.send_data(id, own("answer"));
  pair.session.send_data(id, own(std::string(100'000, 'x')));
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(pair.streams[id]->closed, 0);
  pair.session.send_end(id, trailers);
  ASSERT_TRUE(pair.talk());
  const testkit::H2Answer& answer = pair.client.answer(id);
  EXPECT_EQ(answer.head.at(":status"), "200");
  EXPECT_EQ(answer.head.at("content-type"), "text/plain");
  EXPECT_EQ(answer.body, "answer" + std::string(100'000, 'x')) << "more than the client's window at once";
  EXPECT_EQ(answer.trailers.at("grpc-status"), "0");
  EXPECT_TRUE(answer.closed);
}

TEST(H2Session, TellsOnceThatAllIsSent) {
  Pair pair;
  const auto id = pair.client.request(kPost, /*ends=*/true);
  ASSERT_TRUE(pair.talk());
  pair.session.send_head(id, 200, {});
  for (int i = 0; i < 20; ++i) pair.session.send_data(id, own(std::string(1'000, 'x')));
  pair.session.send_end(id);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(pair.client.answer(id).body.size(), 20'000U);
  EXPECT_TRUE(pair.client.answer(id).closed);
  EXPECT_EQ(pair.streams[id]->closed, 1);
  EXPECT_EQ(pair.streams[id]->sent, 1);
}

TEST(H2Session, AnAnswerBeforeTheRequestsEndEndsTheStream) {
  Pair pair;
  const auto id = pair.client.request(kPost, /*ends=*/false);
  ASSERT_TRUE(pair.talk());
  Headers trailers;
  trailers.add("grpc-status", "12");
  pair.session.send_head(id, 200, trailers, /*last=*/true);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(pair.client.answer(id).head.at("grpc-status"), "12");
  EXPECT_TRUE(pair.client.answer(id).closed);
  EXPECT_EQ(pair.client.answer(id).reset, 0U);
  EXPECT_EQ(pair.session.streams(), 0U);
}

TEST(H2Session, TellsStreamsOfResetsAndOfTheConnectionsEnd) {
  Pair pair;
  const auto first = pair.client.request(kPost, /*ends=*/false);
  const auto second = pair.client.request(kPost, /*ends=*/false);
  ASSERT_TRUE(pair.talk());
  pair.client.reset(first);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(pair.streams[first]->closed, 1);
  EXPECT_EQ(pair.streams[first]->why, H2Reset::kCancel);
  EXPECT_EQ(pair.streams[second]->closed, 0);
  pair.session.close();
  EXPECT_EQ(pair.streams[second]->closed, 1);
  pair.session.send_head(second, 200, {});
  pair.session.send_data(second, own("x"));
  pair.session.reset(second, H2Reset::kCancel);
  pair.session.consume(second, 1);
  EXPECT_TRUE(pair.session.output().empty());
  EXPECT_FALSE(pair.session.receive("x"));
}

TEST(H2Session, RefusesStreamsAndHeadsThatAreTooLong) {
  Pair pair{{.header_bytes_max = 1'000}};
  auto head = kPost;
  head.emplace_back("x-long", std::string(1'000, 'x'));
  const auto longest = pair.client.request(head, /*ends=*/true);
  ASSERT_TRUE(pair.talk());
  EXPECT_TRUE(pair.client.answer(longest).closed);
  EXPECT_NE(pair.client.answer(longest).reset, 0U);
  EXPECT_FALSE(pair.heads.contains(longest));
  pair.refuses = true;
  const auto refused = pair.client.request(kPost, /*ends=*/true);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(pair.client.answer(refused).reset, static_cast<std::uint32_t>(H2Reset::kRefused));
  EXPECT_EQ(pair.session.streams(), 0U);
}

TEST(H2Session, HoldsTheWindowOfWhatIsNotConsumed) {
  Pair pair{{.stream_window_bytes = 1'000}};
  const auto id = pair.client.request(kPost, /*ends=*/false);
  ASSERT_TRUE(pair.talk());
  pair.client.send(id, std::string(5'000, 'x'), true);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(pair.streams[id]->body.size(), 1'000U);
  for (int i = 0; i < 4; ++i) {
    pair.session.consume(id, 1'000);
    ASSERT_TRUE(pair.talk());
  }
  EXPECT_EQ(pair.streams[id]->body.size(), 5'000U);
  EXPECT_TRUE(pair.streams[id]->ended);
}

TEST(H2Session, GoesAwayAndLetsOpenStreamsEnd) {
  Pair pair;
  const auto id = pair.client.request(kPost, /*ends=*/true);
  ASSERT_TRUE(pair.talk());
  pair.session.go_away();
  pair.session.go_away();
  ASSERT_TRUE(pair.talk());
  EXPECT_TRUE(pair.client.going_away());
  EXPECT_FALSE(pair.session.done());
  pair.session.send_head(id, 200, {}, /*last=*/true);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(pair.client.answer(id).head.at(":status"), "200");
  EXPECT_TRUE(pair.session.done());
}

TEST(H2Session, EndsConnectionsThatAreNone) {
  Pair pair;
  EXPECT_EQ(pair.session.receive("GET / HTTP/1.1\r\n\r\n").error().code, ErrorCode::kProtocol);
}

}  // namespace
}  // namespace llmd::net
