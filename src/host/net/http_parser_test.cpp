#include "net/http_parser.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/rng.h"

namespace llmd::net {
namespace {

struct BadHead {
  std::string name;
  std::string head;
  std::string error;
};

Result<Framing> parse(std::string_view text, Request& request) {
  HeadScanner scanner;
  LLMD_TRY(const std::size_t bytes, scanner.scan(text));
  if (bytes == 0) return fail(ErrorCode::kInternal, "incomplete");
  return parse_request_head(text.substr(0, bytes), request);
}

TEST(ParseRequestHead, TakesAnOrdinaryRequest) {
  Request request;
  const auto framing = parse(
      "POST /v1/x?a=b HTTP/1.1\r\nHost: h\r\nX-Empty:\r\ncontent-length: 12\r\nExpect: 100-continue\r\nA:\t b c "
      "\t\r\n\r\n",
      request);
  ASSERT_TRUE(framing.has_value()) << framing.error().to_string();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path(), "/v1/x");
  EXPECT_EQ(request.query(), "a=b");
  EXPECT_EQ(request.headers.get("x-empty"), "");
  EXPECT_EQ(request.headers.get("a"), "b c");
  EXPECT_EQ(request.headers.get("missing"), std::nullopt);
  EXPECT_EQ(framing->body, BodyKind::kLength);
  EXPECT_EQ(framing->content_length, 12U);
  EXPECT_TRUE(framing->keep_alive);
  EXPECT_TRUE(framing->expect_continue);
}

TEST(ParseRequestHead, RefusesWhatTwoReadersCouldUnderstandDifferently) {
  const std::string host = "Host: h\r\n";
  const std::vector<BadHead> cases{
      {"two lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "stands twice"},
      {"list of lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 1, 1\r\n\r\n", "not a number"},
      {"negative length", "POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", "not a number"},
      {"signed length", "POST / HTTP/1.1\r\n" + host + "Content-Length: +1\r\n\r\n", "not a number"},
      {"huge length", "POST / HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n", "not a number"},
      {"empty length", "POST / HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\n", "not a number"},
      {"both", "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "exclude"},
      {"gzip", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", "not \"chunked\""},
      {"chunked twice",
       "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
       "not \"chunked\""},
      {"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "chunked"},
      {"folded", "GET / HTTP/1.1\r\n" + host + "A: b\r\n c\r\n\r\n", "folded"},
      {"space before colon", "GET / HTTP/1.1\r\n" + host + "Content-Length : 1\r\n\r\n", "name of a header"},
      {"no colon", "GET / HTTP/1.1\r\n" + host + "abc\r\n\r\n", "no colon"},
      {"no host", "GET / HTTP/1.1\r\n\r\n", "0 Host"},
      {"two hosts", "GET / HTTP/1.1\r\n" + host + host + "\r\n", "2 Host"},
      {"bare line feed", "GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", "without CR"},
      {"bare carriage return", "GET / HTTP/1.1\r\nHost: h\rA: b\r\n\r\n", "control character"},
      {"zero byte", std::string{"GET / HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n", 35}, "zero byte"},
      {"lower-case method", "get / HTTP/1.1\r\n" + host + "\r\n", "capital"},
      {"space in the target", "GET /a b HTTP/1.1\r\n" + host + "\r\n", "visible ASCII"},
      {"relative target", "GET a HTTP/1.1\r\n" + host + "\r\n", "visible ASCII"},
      {"no version", "GET /\r\n" + host + "\r\n", "request line"},
      {"version 2", "GET / HTTP/2.0\r\n" + host + "\r\n", "neither"},
      {"connect", "CONNECT h:1 HTTP/1.1\r\n" + host + "\r\n", "proxies"},
  };
  for (const BadHead& c : cases) {
    Request request;
    const auto framing = parse(c.head, request);
    ASSERT_FALSE(framing.has_value()) << c.name;
    EXPECT_NE(framing.error().what.find(c.error), std::string::npos) << c.name << ": " << framing.error().to_string();
  }
}

TEST(ParseRequestHead, ReducesAnAbsoluteTargetToItsPath) {
  Request request;
  ASSERT_TRUE(parse("GET http://host/a?b HTTP/1.1\r\nHost: host\r\n\r\n", request).has_value());
  EXPECT_EQ(request.target, "/a?b");
  ASSERT_TRUE(parse("GET HTTP://host HTTP/1.1\r\nHost: host\r\n\r\n", request).has_value());
  EXPECT_EQ(request.target, "/");
}

TEST(ParseRequestHead, BoundsTheNumberOfFields) {
  std::string head = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (std::size_t i = 1; i < kHeaderFieldsMax; ++i) head += "a: b\r\n";
  Request request;
  EXPECT_TRUE(parse(head + "\r\n", request).has_value());
  EXPECT_EQ(parse(head + "a: b\r\n\r\n", request).error().code, ErrorCode::kHeaderTooLarge);
}

TEST(HeadScanner, FindsTheEndWhereverTheHeadIsCut) {
  const std::string head = "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n";
  const std::string text = head + "BODY";
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    HeadScanner scanner;
    const auto first = scanner.scan(std::string_view{text}.substr(0, cut));
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(*first, cut >= head.size() ? head.size() : 0U) << cut;
    if (*first == 0) {
      EXPECT_EQ(scanner.scan(text).value(), head.size()) << cut;
    }
  }
}

struct AnswerCase {
  std::string name;
  std::string head;
  std::string method;
  BodyKind body;
  bool keep_alive;
};

TEST(ParseResponseHead, KnowsHowTheBodyIsDelimited) {
  const std::vector<AnswerCase> cases{
      {"length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "GET", BodyKind::kLength, true},
      {"no body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", BodyKind::kNone, true},
      {"chunked", "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", BodyKind::kChunked, true},
      {"until close", "HTTP/1.1 200 OK\r\n\r\n", "GET", BodyKind::kUntilClose, false},
      {"close", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: x, Close\r\n\r\n", "GET", BodyKind::kLength,
       false},
      {"1.0", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", "GET", BodyKind::kLength, false},
      {"1.0 kept", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n", "GET", BodyKind::kLength,
       true},
      {"head", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD", BodyKind::kNone, true},
      {"204", "HTTP/1.1 204 No Content\r\n\r\n", "GET", BodyKind::kNone, true},
  };
  for (const AnswerCase& c : cases) {
    int status = 0;
    Headers headers;
    const auto framing = parse_response_head(c.head, c.method, status, headers);
    ASSERT_TRUE(framing.has_value()) << c.name << ": " << framing.error().to_string();
    EXPECT_EQ(framing->body, c.body) << c.name;
    EXPECT_EQ(framing->keep_alive, c.keep_alive) << c.name;
  }
}

TEST(ParseResponseHead, BlamesThePeerForAMalformedAnswer) {
  for (const std::string head :
       {"HTTP/1.1 20 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 099 X\r\n\r\n", "ICY 200 OK\r\n\r\n", "\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n"}) {
    int status = 0;
    Headers headers;
    const auto framing = parse_response_head(head, "GET", status, headers);
    ASSERT_FALSE(framing.has_value()) << head;
    EXPECT_EQ(framing.error().code, ErrorCode::kProtocol);
  }
}

/// The body of `text` cut at `cut`, with "|" and what is left after its end; "error: ..." or "incomplete".
std::string decoded(std::string_view text, std::size_t cut) {
  ChunkedDecoder decoder;
  std::string out;
  std::size_t used = 0;
  for (const std::size_t end : {cut, text.size()}) {
    while (used < end && !decoder.done()) {
      const auto piece = decoder.next(text.substr(used, end - used));
      if (!piece) return "error: " + piece.error().what;
      out += piece->data;
      used += piece->consumed;
    }
  }
  return decoder.done() ? out + "|" + std::string{text.substr(used)} : "incomplete";
}

TEST(ChunkedDecoder, GivesTheSameBodyWhereverItIsCut) {
  const std::string text = "3\r\nabc\r\n00a;x=\"y\"\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\nnext";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) EXPECT_EQ(decoded(text, cut), "abc0123456789|next") << cut;
}

TEST(ChunkedDecoder, RefusesFramingThatIsNotExact) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"\r\n", "size of a chunk is missing"},
      {"g\r\n", "hex digits"},
      {"1 \r\na\r\n", "hex digits"},
      {"1\na\r\n", "hex digits"},
      {"1\r\nab\r\n", "CR LF"},
      {"1\r\na\n0\r\n\r\n", "CR LF"},
      {"-1\r\n", "hex digits"},
      {"0x1\r\n", "hex digits"},
      {"1000000000000000\r\n", "hex digits"},
      {"1\r\na\r\n0\r\n\n", "bad trailer"},
      {";a\r\n", "hex digits"},
      {"1;a\nb\r\na\r\n", "bad chunk"},
      {"0\r\nA: " + std::string(20'000, 'x'), "bad trailer"},
      {"1;" + std::string(20'000, 'x'), "bad chunk"},
  };
  for (const auto& [text, error] : cases) {
    EXPECT_NE(decoded(text, 0).find(error), std::string::npos) << text.substr(0, 40) << " gives " << decoded(text, 0);
  }
}

}  // namespace
}  // namespace llmd::net
