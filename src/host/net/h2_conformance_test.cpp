// What RFC 9113 and the attacks of recent years ask of an HTTP/2 server, frame by frame.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/h2_session.h"
#include "net/testing/h2_frames.h"

namespace llmd::net {
namespace {

using testkit::h2_fields;
using testkit::h2_frame;
using testkit::h2_preface;
using testkit::h2_request;
using testkit::h2_setting;
using testkit::H2Frame;
using testkit::kAck;
using testkit::kEndHeaders;
using testkit::kEndStream;
using testkit::kHasPriority;
using testkit::kPadded;
using testkit::number32;

constexpr std::uint32_t kProtocolError = 1;
constexpr std::uint32_t kFlowControlError = 3;
constexpr std::uint32_t kStreamClosed = 5;
constexpr std::uint32_t kFrameSizeError = 6;
constexpr std::uint32_t kRefusedStream = 7;
constexpr std::uint32_t kCompressionError = 9;

/// Takes the body and answers at the end.
struct Answering final : H2Stream {
  Answering(H2Session& on, H2StreamId number) : session{on}, id{number} {}
  void on_data(std::string_view bytes) override {
    body += bytes;
    if (consumes) session.consume(id, bytes.size());
  }
  void on_end() override { session.send_head(id, 200, {}, /*last=*/true); }
  void on_close(H2Reset /*reason*/) override { closed = true; }
  void on_sent() override {}
  H2Session& session;
  H2StreamId id;
  std::string body;
  bool consumes = true;
  bool closed = false;
};

/// A server that is sent frames by hand.
class Scene {
 public:
  explicit Scene(const H2Limits& limits = {})
      : session_{limits, [this](H2StreamId id, Request head) -> std::shared_ptr<H2Stream> {
                   heads[id] = std::move(head);
                   auto stream = std::make_shared<Answering>(session_, id);
                   stream->consumes = consumes;
                   return streams[id] = std::move(stream);
                 }} {}

  /// False: the connection has ended.
  bool send(std::string_view bytes) {
    const bool taken = session_.receive(bytes).has_value();
    read();
    return taken && !session_.done();
  }
  /// What the server has to say.
  void read() {
    for (auto pieces = session_.output(); !pieces.empty(); pieces = session_.output()) {
      std::size_t sent = 0;
      for (const iovec& piece : pieces) {
        bytes_.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
        sent += piece.iov_len;
      }
      session_.sent(sent);
    }
    for (testkit::H2FrameSeen& frame : testkit::take_frames(bytes_)) seen.push_back(std::move(frame));
  }
  /// "goaway 1", "reset 1 of 3", "answer of 1", in order; what else was said is left out.
  [[nodiscard]] std::string said() const {
    std::string text;
    for (const testkit::H2FrameSeen& frame : seen) {
      std::string what;
      if (frame.type == H2Frame::kGoAway) what = "goaway " + std::to_string(testkit::number_at(frame.payload, 4));
      if (frame.type == H2Frame::kReset)
        what = "reset " + std::to_string(testkit::number_at(frame.payload, 0)) + " of " + std::to_string(frame.stream);
      if (frame.type == H2Frame::kHeaders) what = "answer of " + std::to_string(frame.stream);
      if (!what.empty()) text += (text.empty() ? "" : ", ") + what;
    }
    return text;
  }
  [[nodiscard]] H2Session& session() noexcept { return session_; }

  std::map<H2StreamId, Request> heads;
  std::map<H2StreamId, std::shared_ptr<Answering>> streams;
  std::vector<testkit::H2FrameSeen> seen;
  bool consumes = true;

 private:
  H2Session session_;
  std::string bytes_;
};

std::string goaway(std::uint32_t code) { return "goaway " + std::to_string(code); }
std::string reset(std::uint32_t code, std::uint32_t stream = 1) {
  return "reset " + std::to_string(code) + " of " + std::to_string(stream);
}

std::string head(int flags, std::vector<std::pair<std::string, std::string>> fields) {
  return h2_frame(H2Frame::kHeaders, flags | kEndHeaders, 1, h2_fields(fields));
}

struct Case {
  std::string name;
  std::string sent;  // after the preface
  std::string said;
};

void expect_each(const std::vector<Case>& cases, const H2Limits& limits = {}) {
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Scene scene{limits};
    ASSERT_TRUE(scene.send(h2_preface()));
    const bool ended = !scene.send(c.sent);
    EXPECT_EQ(scene.said(), c.said);
    EXPECT_EQ(ended, c.said.find("goaway") != std::string::npos);
    if (ended) {
      EXPECT_TRUE(scene.session().done() || !scene.session().receive(h2_request(101, true)));
      continue;
    }
    EXPECT_TRUE(scene.send(h2_request(101, true))) << "other streams go on";
    EXPECT_EQ(scene.said(), c.said + (c.said.empty() ? "" : ", ") + "answer of 101");
  }
}

TEST(H2Conformance, BeginsWithThePreface) {
  for (const std::string_view bytes :
       {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n", "\r\n\r\n"}) {
    Scene scene;
    EXPECT_FALSE(scene.session().receive(bytes)) << bytes;
  }
  Scene scene;  // the preface must go on with SETTINGS
  EXPECT_FALSE(scene.send(h2_preface().substr(0, 24) + h2_frame(H2Frame::kPing, 0, 0, "12345678")));
  EXPECT_EQ(scene.said(), goaway(kProtocolError));
}

TEST(H2Conformance, ChecksFramesOfTheConnection) {
  expect_each({
      {"an unknown type", h2_frame(H2Frame::kUnknown, 0, 0, "xyz"), ""},
      {"settings on a stream", h2_frame(H2Frame::kSettings, 0, 1), goaway(kProtocolError)},
      {"settings of 5 bytes", h2_frame(H2Frame::kSettings, 0, 0, "12345"), goaway(kFrameSizeError)},
      {"an acknowledgement with content", h2_frame(H2Frame::kSettings, kAck, 0, h2_setting(4, 1)),
       goaway(kFrameSizeError)},
      {"an unknown setting", h2_frame(H2Frame::kSettings, 0, 0, h2_setting(99, 1)), ""},
      {"push neither on nor off", h2_frame(H2Frame::kSettings, 0, 0, h2_setting(2, 2)), goaway(kProtocolError)},
      {"a window that is too large", h2_frame(H2Frame::kSettings, 0, 0, h2_setting(4, 0x80000000U)),
       goaway(kFlowControlError)},
      {"frames that are too small", h2_frame(H2Frame::kSettings, 0, 0, h2_setting(5, 16'383)), goaway(kProtocolError)},
      {"frames that are too large", h2_frame(H2Frame::kSettings, 0, 0, h2_setting(5, 1U << 24)),
       goaway(kProtocolError)},
      {"a ping on a stream", h2_frame(H2Frame::kPing, 0, 1, "12345678"), goaway(kProtocolError)},
      {"a ping of 7 bytes", h2_frame(H2Frame::kPing, 0, 0, "1234567"), goaway(kFrameSizeError)},
      {"a goaway on a stream", h2_frame(H2Frame::kGoAway, 0, 1, std::string(8, '\0')), goaway(kProtocolError)},
      {"a goaway of 7 bytes", h2_frame(H2Frame::kGoAway, 0, 0, std::string(7, '\0')), goaway(kFrameSizeError)},
      {"a window opened by nothing", h2_frame(H2Frame::kWindow, 0, 0, number32(0)), goaway(kProtocolError)},
      {"a window of 3 bytes", h2_frame(H2Frame::kWindow, 0, 0, "123"), goaway(kFrameSizeError)},
      {"a window that overflows", h2_frame(H2Frame::kWindow, 0, 0, number32(0x7fffffffU)), goaway(kFlowControlError)},
      {"a push", h2_frame(H2Frame::kPush, kEndHeaders, 1, number32(2)), goaway(kProtocolError)},
      {"data on no stream", h2_frame(H2Frame::kData, 0, 0, "x"), goaway(kProtocolError)},
      {"a head on no stream", h2_frame(H2Frame::kHeaders, kEndHeaders, 0, h2_fields({})), goaway(kProtocolError)},
      {"a reset on no stream", h2_frame(H2Frame::kReset, 0, 0, number32(8)), goaway(kProtocolError)},
      {"a priority on no stream", h2_frame(H2Frame::kPriority, 0, 0, number32(0) + "x"), goaway(kProtocolError)},
      {"a continuation on no stream", h2_frame(H2Frame::kContinuation, kEndHeaders, 0), goaway(kProtocolError)},
  });
}

TEST(H2Conformance, ChecksFramesOfStreams) {
  const std::string open = h2_request(1, false);
  const std::string ended = h2_request(1, true);
  const std::string was_reset = open + h2_frame(H2Frame::kReset, 0, 1, number32(8));
  const std::string begun = h2_frame(H2Frame::kHeaders, 0, 1, h2_fields({{":method", "POST"}}));
  const std::string data = h2_frame(H2Frame::kData, 0, 1, "x");
  const std::string block = h2_fields({{":method", "POST"}, {":scheme", "http"}, {":path", "/a"}});
  expect_each({
      {"data before a head", data, goaway(kProtocolError)},
      {"a reset before a head", h2_frame(H2Frame::kReset, 0, 1, number32(8)), goaway(kProtocolError)},
      {"a window before a head", h2_frame(H2Frame::kWindow, 0, 1, number32(8)), goaway(kProtocolError)},
      {"a continuation of nothing", h2_frame(H2Frame::kContinuation, kEndHeaders, 1), goaway(kProtocolError)},
      {"a priority before a head", h2_frame(H2Frame::kPriority, 0, 1, number32(0) + "x"), ""},
      {"a priority of 4 bytes", h2_frame(H2Frame::kPriority, 0, 1, number32(0)), goaway(kFrameSizeError)},
      {"data after the end", ended + data, goaway(kStreamClosed)},
      {"a head after the end", ended + ended, goaway(kStreamClosed)},
      {"data after a reset", was_reset + data, ""},
      {"a window after a reset", was_reset + h2_frame(H2Frame::kWindow, 0, 1, number32(8)), ""},
      {"an even number", h2_request(2, false), goaway(kProtocolError)},
      {"a number that is done with", h2_request(3, true) + ended, "answer of 3"},  // nghttp2 passes it over
      {"data of more than 16 KiB", open + h2_frame(H2Frame::kData, 0, 1, std::string(16'385, 'x')),
       goaway(kFrameSizeError)},
      {"a head of more than 16 KiB", h2_frame(H2Frame::kHeaders, kEndHeaders, 1, std::string(16'385, 'x')),
       goaway(kFrameSizeError)},
      {"a head that is no HPACK", h2_frame(H2Frame::kHeaders, kEndHeaders, 1, "\xff\xff\xff"),
       goaway(kCompressionError)},
      {"more padding than data", open + h2_frame(H2Frame::kData, kPadded, 1, "\x05xy"), goaway(kProtocolError)},
      {"more padding than head", h2_frame(H2Frame::kHeaders, kPadded | kEndHeaders, 1, "\x7fxy"),
       goaway(kProtocolError)},
      {"a head that goes on elsewhere", begun + h2_frame(H2Frame::kContinuation, kEndHeaders, 3),
       goaway(kProtocolError)},
      {"data within a head", begun + data, goaway(kProtocolError)},
      {"a ping within a head", begun + h2_frame(H2Frame::kPing, 0, 0, "12345678"), goaway(kProtocolError)},
      {"an unknown frame within a head", begun + h2_frame(H2Frame::kUnknown, 0, 0, "x"), goaway(kProtocolError)},
      {"a continuation after the head", open + h2_frame(H2Frame::kContinuation, kEndHeaders, 1),
       goaway(kProtocolError)},
      {"a reset of 3 bytes", open + h2_frame(H2Frame::kReset, 0, 1, "123"), goaway(kFrameSizeError)},
      {"a window opened by nothing", open + h2_frame(H2Frame::kWindow, 0, 1, number32(0)), goaway(kProtocolError)},
      {"a window that overflows", open + h2_frame(H2Frame::kWindow, 0, 1, number32(0x7fffffffU)),
       reset(kFlowControlError)},
      {"depends on itself", h2_frame(H2Frame::kHeaders, kEndHeaders | kHasPriority, 1, number32(1) + "x" + block),
       goaway(kProtocolError)},
  });
}

TEST(H2Conformance, ChecksTheFieldsOfRequests) {
  const std::pair<std::string, std::string> method{":method", "POST"};
  const std::pair<std::string, std::string> scheme{":scheme", "http"};
  const std::pair<std::string, std::string> path{":path", "/a"};
  const std::pair<std::string, std::string> host{":authority", "h"};
  const std::string body = h2_frame(H2Frame::kData, kEndStream, 1, "abc");
  const std::string wrong = reset(kProtocolError);
  expect_each({
      {"as it should be", head(kEndStream, {method, scheme, host, path}), "answer of 1"},
      {"no method", head(kEndStream, {scheme, host, path}), wrong},
      {"no scheme", head(kEndStream, {method, host, path}), wrong},
      {"no host", head(kEndStream, {method, scheme, path}), wrong},
      {"no path", head(kEndStream, {method, scheme, host}), wrong},
      {"an empty path", head(kEndStream, {method, scheme, host, {":path", ""}}), wrong},
      {"two methods", head(kEndStream, {method, method, scheme, host, path}), wrong},
      {"two paths", head(kEndStream, {method, scheme, host, path, path}), wrong},
      {"an unknown pseudo field", head(kEndStream, {method, scheme, host, path, {":x", "1"}}), wrong},
      {"a pseudo field of answers", head(kEndStream, {method, scheme, host, path, {":status", "200"}}), wrong},
      {"a pseudo field after others", head(kEndStream, {method, scheme, host, {"x", "1"}, path}), wrong},
      {"an upper case name", head(kEndStream, {method, scheme, host, path, {"X-A", "1"}}), wrong},
      {"an empty name", head(kEndStream, {method, scheme, host, path, {"", "1"}}), wrong},
      {"a name with a blank", head(kEndStream, {method, scheme, host, path, {"x a", "1"}}), wrong},
      {"a value with a line end", head(kEndStream, {method, scheme, host, path, {"x", "a\r\nb: c"}}), wrong},
      {"a value with a zero byte", head(kEndStream, {method, scheme, host, path, {"x", std::string("a\0b", 3)}}),
       wrong},
      {"connection", head(kEndStream, {method, scheme, host, path, {"connection", "keep-alive"}}), wrong},
      {"keep-alive", head(kEndStream, {method, scheme, host, path, {"keep-alive", "1"}}), wrong},
      {"transfer-encoding", head(kEndStream, {method, scheme, host, path, {"transfer-encoding", "chunked"}}), wrong},
      {"upgrade", head(kEndStream, {method, scheme, host, path, {"upgrade", "x"}}), wrong},
      {"te of more than trailers", head(kEndStream, {method, scheme, host, path, {"te", "gzip"}}), wrong},
      {"te of trailers", head(kEndStream, {method, scheme, host, path, {"te", "trailers"}}), "answer of 1"},
      {"a length that holds", head(0, {method, scheme, host, path, {"content-length", "3"}}) + body, "answer of 1"},
      {"a body that is too short", head(0, {method, scheme, host, path, {"content-length", "4"}}) + body, wrong},
      {"a body that is too long", head(0, {method, scheme, host, path, {"content-length", "2"}}) + body, wrong},
      {"a length that is none", head(0, {method, scheme, host, path, {"content-length", "x"}}), wrong},
      {"trailing fields", h2_request(1, false) + head(kEndStream, {{"x", "1"}}), "answer of 1"},
      {"a second head that does not end", h2_request(1, false) + head(0, {{"x", "1"}}), wrong},
      {"a pseudo field that trails", h2_request(1, false) + head(kEndStream, {method}), wrong},
  });
}

TEST(H2Conformance, HoldsWindowsAndNumbersOfStreams) {
  const H2Limits limits{.streams_max = 2, .stream_window_bytes = 1'000};
  const std::string twice = h2_frame(H2Frame::kData, 0, 1, std::string(600, 'x'));
  Scene scene{limits};
  scene.consumes = false;
  ASSERT_TRUE(scene.send(h2_preface() + h2_frame(H2Frame::kSettings, kAck, 0)));
  ASSERT_TRUE(scene.send(h2_request(1, false) + twice));
  scene.send(twice);
  EXPECT_EQ(scene.said(), reset(kFlowControlError));

  const std::string three = h2_request(1, false) + h2_request(3, false) + h2_request(5, false);
  Scene early{limits};  // the client has not seen the limit yet
  EXPECT_TRUE(early.send(h2_preface() + three));
  EXPECT_EQ(early.said(), reset(kRefusedStream, 5));
  EXPECT_FALSE(early.heads.contains(5));
  Scene late{limits};
  ASSERT_TRUE(late.send(h2_preface() + h2_frame(H2Frame::kSettings, kAck, 0)));
  EXPECT_FALSE(late.send(three));
  EXPECT_EQ(late.said(), goaway(kProtocolError));
  EXPECT_FALSE(late.heads.contains(5));
}

TEST(H2Conformance, AnswersPingsAndSettings) {
  Scene scene;
  ASSERT_TRUE(scene.send(h2_preface() + h2_frame(H2Frame::kPing, 0, 0, "12345678")));
  const auto is_answer = [](const testkit::H2FrameSeen& frame, H2Frame type, std::string_view payload) {
    return frame.type == type && frame.flags == kAck && frame.payload == payload;
  };
  EXPECT_EQ(std::ranges::count_if(scene.seen, [&](const auto& f) { return is_answer(f, H2Frame::kPing, "12345678"); }),
            1);
  EXPECT_EQ(std::ranges::count_if(scene.seen, [&](const auto& f) { return is_answer(f, H2Frame::kSettings, ""); }), 1);
  const std::size_t before = scene.seen.size();
  ASSERT_TRUE(scene.send(h2_frame(H2Frame::kPing, kAck, 0, "12345678")));
  EXPECT_EQ(scene.seen.size(), before) << "an answer is not answered";
}

/// Sends `frame` again and again without reading what the server says; after how many it ends the connection, 0 if it
/// does not within `frames_max`.
std::size_t frames_until_end(Scene& scene, const std::string& frame, std::size_t frames_max) {
  for (std::size_t i = 1; i <= frames_max; ++i) {
    if (!scene.session().receive(frame)) return i;
  }
  return 0;
}

TEST(H2Conformance, EndsConnectionsThatAskAndDoNotRead) {
  const std::vector<std::pair<std::string, std::string>> floods{
      {"ping", h2_frame(H2Frame::kPing, 0, 0, "12345678")},
      {"settings", h2_frame(H2Frame::kSettings, 0, 0, h2_setting(4, 1'000))},
  };
  for (const auto& [name, frame] : floods) {
    Scene scene;
    ASSERT_TRUE(scene.send(h2_preface()));
    const std::size_t count = frames_until_end(scene, frame, 5'000);
    EXPECT_TRUE(count > 0 && count <= 1'001) << name << ": " << count;
  }
}

TEST(H2Conformance, EndsConnectionsWhoseHeadsDoNotEnd) {
  Scene scene;
  ASSERT_TRUE(scene.send(h2_preface()));
  ASSERT_TRUE(scene.send(h2_frame(H2Frame::kHeaders, 0, 1, h2_fields({{":method", "GET"}}))));
  const std::string more = h2_frame(H2Frame::kContinuation, 0, 1, h2_fields({{"x", std::string(100, 'x')}}));
  const std::size_t count = frames_until_end(scene, more, 10'000);
  EXPECT_TRUE(count > 0 && count <= 10) << count;
}

TEST(H2Conformance, ForgetsHeadsThatAreTooLong) {
  for (const bool indexed : {false, true}) {
    Scene scene;
    ASSERT_TRUE(scene.send(h2_preface()));
    std::string fields = h2_fields({{":method", "POST"}, {":scheme", "http"}, {":path", "/a"}});
    if (indexed) {  // a bomb: one field of 4 KB that is named again by a byte
      fields += "\x40\x01x\x7f\xa1\x1e" + std::string(4'000, 'x') + std::string(12'000, '\xbe');
    } else {
      while (fields.size() < 16'000) fields += h2_fields({{"x", std::string(100, 'x')}});
    }
    bool open = scene.send(h2_frame(H2Frame::kHeaders, kEndStream, 1, fields));
    const std::string more = indexed ? std::string(16'000, '\xbe') : fields.substr(60);
    for (int i = 0; open && i < 64; ++i)  // a megabyte
      open = scene.send(h2_frame(H2Frame::kContinuation, i == 63 ? kEndHeaders : 0, 1, more));
    EXPECT_TRUE(scene.heads.empty()) << indexed;
    EXPECT_EQ(scene.said().find("answer"), std::string::npos) << scene.said();
    EXPECT_TRUE(!open || scene.said() == reset(2)) << scene.said();
  }
}

TEST(H2Conformance, EndsConnectionsThatOpenStreamsOnlyToResetThem) {
  Scene scene{{.resets_burst = 100, .resets_per_s = 1}};
  ASSERT_TRUE(scene.send(h2_preface()));
  std::uint32_t id = 1;
  while (id < 2'000 && scene.send(h2_request(id, false) + h2_frame(H2Frame::kReset, 0, id, number32(8)))) id += 2;
  EXPECT_GE(id / 2, 99U);
  EXPECT_LE(id / 2, 105U);
  EXPECT_EQ(scene.session().streams(), 0U);
  for (const auto& [number, stream] : scene.streams) EXPECT_TRUE(stream->closed) << number;
}

TEST(H2Conformance, KeepsNothingOfFramesThatSayNothing) {
  Scene scene;
  ASSERT_TRUE(scene.send(h2_preface() + h2_request(1, false)));
  const std::size_t before = scene.seen.size();
  std::string flood;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    flood += h2_frame(H2Frame::kData, 0, 1);
    flood += h2_frame(H2Frame::kData, kPadded, 1, std::string(1, '\0'));
    flood += h2_frame(H2Frame::kWindow, 0, 1, number32(1));
    flood += h2_frame(H2Frame::kPriority, 0, 3 + 2 * i, number32(1) + "x");
    flood += h2_frame(H2Frame::kUnknown, 0, 1);
  }
  ASSERT_TRUE(scene.send(flood));
  EXPECT_LE(scene.seen.size() - before, 10'000U) << "at most the window of the padding is given back";
  EXPECT_TRUE(scene.streams[1]->body.empty());
  ASSERT_TRUE(scene.send(h2_frame(H2Frame::kData, kEndStream, 1)));
  EXPECT_EQ(scene.said(), "answer of 1");
}

}  // namespace
}  // namespace llmd::net
