#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <unordered_set>

#include "net/head_writer.h"
#include "net/request_reader.h"
#include "net/server.h"
#include "net/stream.h"

namespace llmd::net {

class Connection;

/// What all connections of a server share. Fixed but for the atomics.
struct ServerShared {
  ServerOptions options;
  Handler handler;
  std::atomic<std::size_t> in_flight{0};
  std::atomic<std::size_t> connections{0};
  std::atomic<bool> draining{false};
  std::atomic<bool> closed{false};
};

/// The connections that live on one loop; touched only there.
using ConnectionSet = std::unordered_set<Connection*>;

/// One client's connection: reads a request, runs the handler, answers, and so on. Belongs to one loop. It is kept
/// alive by its own coroutine.
class Connection final : public Exchange, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Loop& loop, Socket socket, std::string peer, std::shared_ptr<ServerShared> shared,
             std::shared_ptr<ConnectionSet> set);
  ~Connection() override;

  /// The connection's whole life.
  [[nodiscard]] static Task<void> run(std::shared_ptr<Connection> self);
  /// Closes if no request has begun; else the answer in the making will say "Connection: close".
  void drain();
  void close();

  Task<Result<void>> respond(Response response) override;
  Task<Result<void>> start(int status, Headers headers) override;
  Task<Result<void>> write(std::string_view bytes) override;
  Task<Result<void>> finish() override;
  void on_disconnect(std::move_only_function<void()> callback) override;
  [[nodiscard]] bool disconnected() const noexcept override;
  [[nodiscard]] bool started() const noexcept override { return phase_ != Phase::kNotStarted; }
  [[nodiscard]] Loop& loop() noexcept override { return loop_; }

 private:
  enum class Phase : std::uint8_t { kNotStarted, kStreaming, kFinished };

  [[nodiscard]] Task<bool> begin();
  [[nodiscard]] Task<bool> serve_one();
  [[nodiscard]] Task<void> handle(Request request);
  [[nodiscard]] Task<void> refuse(Error error);
  [[nodiscard]] Task<void> linger();
  [[nodiscard]] Response render(const Error& error) const;
  void prepare(const Request& request, const Framing& framing);
  [[nodiscard]] AnswerHead answer_head(int status, BodyKind body, std::uint64_t length, const Headers& headers);
  void on_input_while_handling();
  void flush_head(std::uint64_t request_number);
  [[nodiscard]] Task<Result<void>> send(std::span<iovec> pieces);

  Loop& loop_;
  std::shared_ptr<Stream> stream_;
  std::string peer_;
  std::shared_ptr<ServerShared> shared_;
  std::shared_ptr<ConnectionSet> set_;
  RequestReader reader_;

  // Of the current request.
  std::uint64_t request_number_ = 0;
  Phase phase_ = Phase::kNotStarted;
  BodyKind body_kind_ = BodyKind::kLength;
  std::uint64_t body_left_ = 0;  // with a stated length
  bool is_head_request_ = false;
  bool http_1_0_ = false;
  bool keep_alive_ = true;
  bool handling_ = false;
  bool has_disconnected_ = false;
  bool linger_ = false;
  std::string head_;  // of the answer, until it is sent
  std::move_only_function<void()> on_disconnect_;
};

}  // namespace llmd::net
