#include "net/fetch.h"

#include <gtest/gtest.h>

#include <thread>

#include "net/server.h"

namespace llmd::net {
namespace {

TEST(Fetch, ReturnsStatusAndBodyOfAnyAnswer) {
  Loop loop{"server"};
  auto server = Server::listen({&loop}, {.listen = *Address::parse("127.0.0.1:0")},
                               [](Request request, Exchange& exchange) -> Task<void> {
                                 const std::string key{request.headers.get("authorization").value_or("none")};
                                 Response response{.status = 418, .headers = {}, .body = request.target + " " + key};
                                 (void)co_await exchange.respond(std::move(response));
                               });
  ASSERT_TRUE(server) << server.error().to_string();
  std::thread thread{[&] { loop.run(); }};
  const auto fetched = fetch((*server)->address(), "/tea?x=1", {.authorization = "Bearer k"});
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  EXPECT_EQ(fetched->status, 418);
  EXPECT_EQ(fetched->body, "/tea?x=1 Bearer k");
  loop.stop();
  thread.join();
  server->reset();
}

TEST(Fetch, NamesTheAddressThatDoesNotAnswer) {
  const auto fetched = fetch(*Address::parse("unix:/tmp/llmd-no-such.sock"), "/");
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::kConnectionRefused);
}

}  // namespace
}  // namespace llmd::net
