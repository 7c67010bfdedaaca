#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/budget.h"
#include "base/error.h"
#include "base/fifo.h"
#include "net/h2_connection.h"
#include "rpc/message_reader.h"
#include "rpc/status.h"
#include "runtime/loop.h"

namespace llmd::rpc {

/// How much of a call may wait.
struct MessageLimits {
  std::size_t message_bytes_max = 4 * 1024 * 1024;  // gRPC's default; also once a message is inflated
  std::size_t unsent_bytes_max = 256 * 1024;
  Budget* budget = nullptr;  // what has come and is not read draws on it. Null: no bound
};

/// The messages of one call as they come and go on its HTTP/2 stream, of either side. On the connection's loop only.
class MessageStream : public net::H2Stream {
 public:
  MessageStream(std::shared_ptr<net::H2Connection> connection, const MessageLimits& limits, Encoding encoding);
  ~MessageStream() override;

  /// The next message; nothing: the peer has sent all. One reader at a time, and one writer beside it. Errors: that of
  /// cut(), kBodyTooLarge, kBudgetExhausted, kProtocol.
  [[nodiscard]] Task<Result<std::optional<std::string>>> next();
  /// Sends one message, given in pieces that are not copied. Waits while MessageLimits::unsent_bytes_max are on their
  /// way. Error: that of cut().
  [[nodiscard]] Task<Result<void>> send(std::vector<net::H2Bytes> message);
  /// Ends a next() that waits, and all later ones, with kCancelled.
  void stop();
  /// Ends all waits. The first reason counts.
  void cut(Error reason);
  [[nodiscard]] bool is_cut() const noexcept { return cut_.has_value(); }
  /// Pre: is_cut().
  [[nodiscard]] const Error& cut_reason() const noexcept { return *cut_; }
  /// Called once when it is cut; at once, if it was. A later call replaces the callback; nullptr removes it.
  void on_cut(std::move_only_function<void()> callback);

  void on_data(std::string_view bytes) override;
  void on_end() override;
  void on_sent() override;

 protected:
  [[nodiscard]] net::H2Connection& connection() const noexcept { return *connection_; }
  [[nodiscard]] net::H2StreamId id() const noexcept { return id_; }
  /// Before anything comes or goes.
  void set_id(net::H2StreamId id) noexcept { id_ = id; }
  void set_encoding(Encoding encoding) { reader_ = MessageReader{limits_.message_bytes_max, encoding}; }
  /// From here on what comes is thrown away.
  void close_input();
  /// The peer takes no more: sends that wait, and later ones, end with kConnectionClosed.
  void close_output();
  /// What the peer may have sent no message for.
  void fail_input(Error reason);
  virtual void before_send() {}

 private:
  using Waiter = std::move_only_function<void()>;
  [[nodiscard]] Task<void> wait(Waiter& waiter);
  void wake(Waiter& waiter);
  void wake_all();
  void consume(std::size_t bytes);
  void drop_queued();
  [[nodiscard]] bool settle();

  const std::shared_ptr<net::H2Connection> connection_;
  const MessageLimits limits_;
  net::H2StreamId id_ = 0;
  MessageReader reader_;
  Fifo<std::string> messages_;
  std::size_t unconsumed_ = 0;    // bytes of those beyond the ones that may come ahead
  std::size_t queued_bytes_ = 0;  // of messages_
  std::size_t charged_ = 0;       // of the budget
  std::size_t unsent_bytes_ = 0;
  bool ended_ = false;         // the peer has sent all
  bool input_closed_ = false;  // nobody reads
  bool output_closed_ = false;
  std::optional<Error> wrong_;  // with what the peer sent
  std::optional<Error> cut_;
  Waiter reader_waits_;
  Waiter writer_waits_;
  std::move_only_function<void()> on_cut_;
};

}  // namespace llmd::rpc
