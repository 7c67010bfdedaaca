#include "apps/chat/conversation.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "net/server.h"
#include "runtime/loop.h"

namespace llmd::chat {
namespace {

/// A server that answers each chat with its number of messages and its temperature, in two events, or breaks off.
class ChatServer {
 public:
  explicit ChatServer(bool cut = false) {
    auto handler = [cut](net::Request request, net::Exchange& exchange) -> Task<void> {
      const auto body = nlohmann::json::parse(request.body);
      (void)co_await exchange.start(200, {});
      const std::string count = std::to_string(body["messages"].size());
      const std::string first = R"(data: {"choices":[{"delta":{"content":"n="}}]})"
                                "\n\n";
      (void)co_await exchange.write(first);
      if (!cut) {
        const std::string temperature = body["temperature"].dump();
        const std::string rest =
            R"(data: {"choices":[{"delta":{"content":")" + count + " t=" + temperature + "\"}}]}\n\ndata: [DONE]\n\n";
        (void)co_await exchange.write(rest);
      }
      (void)co_await exchange.finish();
    };
    auto server = net::Server::listen({&loop_}, {.listen = *net::Address::parse("127.0.0.1:0")}, handler);
    server_ = *std::move(server);
    thread_ = std::jthread{[this] { loop_.run(); }};
  }
  ~ChatServer() {
    loop_.stop();
    thread_.join();
    server_.reset();
  }
  [[nodiscard]] const net::Address& address() const { return server_->address(); }

 private:
  Loop loop_{"server"};
  std::unique_ptr<net::Server> server_;
  std::jthread thread_;
};

TEST(Conversation, StreamsAnswersAndRemembersTheTurns) {
  ChatServer server;
  Conversation conversation{server.address(), {.system = "be brief"}};
  std::string first;
  ASSERT_TRUE(conversation.ask("a", [&](std::string_view text) { first += text; }));
  std::string second;
  ASSERT_TRUE(conversation.ask("b", [&](std::string_view text) { second += text; }));
  EXPECT_EQ(first, "n=2 t=0.5") << "system and question";
  EXPECT_EQ(second, "n=4 t=0.5") << "and the first turn";
}

TEST(Conversation, AsksWithTheTemperatureThatIsGiven) {
  ChatServer server;
  Conversation conversation{server.address(), {.temperature = 1.5}};
  std::string answer;
  ASSERT_TRUE(conversation.ask("a", [&](std::string_view text) { answer += text; }));
  EXPECT_EQ(answer, "n=1 t=1.5");
}

TEST(Conversation, ACutAnswerIsAnErrorAndIsNotRemembered) {
  ChatServer server{/*cut=*/true};
  Conversation conversation{server.address(), {}};
  const auto asked = conversation.ask("a", [](std::string_view) {});
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, ErrorCode::kProtocol);
  EXPECT_EQ(conversation.turns(), 0U);
}

TEST(Conversation, EventsGiveTextOrTheServersError) {
  EXPECT_EQ(text_of_event("[DONE]").value(), std::nullopt);
  EXPECT_EQ(text_of_event(R"({"choices":[]})").value(), "");
  const auto error = text_of_event(R"({"error":{"message":"out of order"}})");
  ASSERT_FALSE(error);
  EXPECT_NE(error.error().what.find("out of order"), std::string::npos);
  EXPECT_EQ(text_of_event("hello").error().code, ErrorCode::kProtocol);
}

}  // namespace
}  // namespace llmd::chat
