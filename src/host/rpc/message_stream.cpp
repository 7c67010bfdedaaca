#include "rpc/message_stream.h"

#include <utility>

namespace llmd::rpc {
namespace {

constexpr std::size_t kMessagesAhead = 4;  // whole ones that wait to be read; then the peer's window stays closed

/// Also empty messages take memory.
std::size_t cost_of(const std::string& message) noexcept { return message.size() + sizeof message; }

}  // namespace

MessageStream::MessageStream(std::shared_ptr<net::H2Connection> connection, const MessageLimits& limits,
                             Encoding encoding)
    : connection_{std::move(connection)}, limits_{limits}, reader_{limits.message_bytes_max, encoding} {}

MessageStream::~MessageStream() {
  if (charged_ > 0) limits_.budget->release(charged_);
}

Task<Result<std::optional<std::string>>> MessageStream::next() {
  while (messages_.empty() && !ended_ && !cut_ && !wrong_) co_await wait(reader_waits_);
  if (cut_) co_return std::unexpected(*cut_);
  if (!messages_.empty()) {
    std::optional<std::string> message{messages_.pop_front()};
    queued_bytes_ -= cost_of(*message);
    [[maybe_unused]] const bool less = settle();
    consume(std::exchange(unconsumed_, 0));
    co_return message;
  }
  if (wrong_) co_return std::unexpected(*wrong_);
  co_return std::optional<std::string>{};
}

Task<Result<void>> MessageStream::send(std::vector<net::H2Bytes> message) {
  while (unsent_bytes_ > limits_.unsent_bytes_max && !cut_ && !output_closed_) co_await wait(writer_waits_);
  if (cut_) co_return std::unexpected(*cut_);
  if (output_closed_) co_return fail(ErrorCode::kConnectionClosed, "the call has ended");
  std::size_t bytes = 0;
  for (const net::H2Bytes& piece : message) bytes += piece.bytes.size();
  before_send();
  net::H2Session& session = connection_->session();
  unsent_bytes_ += bytes;
  session.send_data(id_, net::own(message_head(bytes)));
  for (net::H2Bytes& piece : message) session.send_data(id_, std::move(piece));
  connection_->flush();
  co_return Result<void>{};
}

void MessageStream::stop() {
  if (!wrong_) wrong_ = Error{.code = ErrorCode::kCancelled, .what = "nothing more is read"};
  drop_queued();
  consume(std::exchange(unconsumed_, 0));
  wake(reader_waits_);
}

void MessageStream::cut(Error reason) {
  if (cut_) return;
  cut_ = std::move(reason);
  if (auto callback = std::exchange(on_cut_, nullptr)) callback();
  wake_all();
}

void MessageStream::on_cut(std::move_only_function<void()> callback) {
  if (callback && cut_) {
    callback();
    return;
  }
  on_cut_ = std::move(callback);
}

void MessageStream::on_data(std::string_view bytes) {
  if (input_closed_ || cut_ || wrong_) return consume(bytes.size());
  std::vector<std::string> whole;
  if (auto taken = reader_.take(bytes, whole); !taken) wrong_ = std::move(taken).error();
  for (std::string& message : whole) {
    queued_bytes_ += cost_of(message);
    messages_.push_back(std::move(message));
  }
  if (!settle()) {
    wrong_ = Error{.code = ErrorCode::kBudgetExhausted, .what = "there is no memory for further messages"};
    drop_queued();
  }
  if (messages_.size() < kMessagesAhead) {
    consume(bytes.size());
  } else {
    unconsumed_ += bytes.size();
  }
  wake(reader_waits_);
}

void MessageStream::on_end() {
  ended_ = true;
  if (reader_.pending_bytes() > 0 && !wrong_)
    wrong_ = Error{.code = ErrorCode::kProtocol, .what = "the call ends within a message"};
  wake(reader_waits_);
}

void MessageStream::on_sent() {
  unsent_bytes_ = 0;
  wake(writer_waits_);
}

void MessageStream::close_input() {
  input_closed_ = true;
  on_cut_ = nullptr;
  consume(std::exchange(unconsumed_, 0));
}

void MessageStream::close_output() {
  output_closed_ = true;
  wake(writer_waits_);
}

void MessageStream::fail_input(Error reason) {
  if (!wrong_) wrong_ = std::move(reason);
  wake(reader_waits_);
}

Task<void> MessageStream::wait(Waiter& waiter) {
  return asio::async_initiate<const asio::use_awaitable_t<asio::io_context::executor_type>&, void()>(
      [&waiter](auto handler) { waiter = std::move(handler); }, use_task);
}

/// Not at once: it may be called from within the session.
void MessageStream::wake(Waiter& waiter) {
  if (waiter) connection_->soon(std::exchange(waiter, nullptr));
}

void MessageStream::wake_all() {
  wake(reader_waits_);
  wake(writer_waits_);
}

void MessageStream::consume(std::size_t bytes) {
  if (bytes == 0) return;
  connection_->session().consume(id_, bytes);
  connection_->flush();
}

void MessageStream::drop_queued() {
  messages_.clear();
  queued_bytes_ = 0;
  [[maybe_unused]] const bool less = settle();
}

/// Charges the budget with what waits now. False: it is spent.
bool MessageStream::settle() {
  if (limits_.budget == nullptr) return true;
  const std::size_t held = queued_bytes_ + reader_.pending_bytes();
  if (held > charged_ && !limits_.budget->try_charge(held - charged_)) return false;
  if (held < charged_) limits_.budget->release(charged_ - held);
  charged_ = held;
  return true;
}

}  // namespace llmd::rpc
