#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/budget.h"
#include "base/error.h"
#include "net/h2_session.h"

namespace llmd::epp {

/// A body as its pieces come. Bounded; what it holds is drawn from a budget until the last reference is gone, also by
/// pieces that are on their way out.
class RequestBody {
 public:
  RequestBody(Budget& budget, std::size_t bytes_max) : held_{std::make_shared<Held>(budget)}, bytes_max_{bytes_max} {}

  /// A hint of how long the whole will be; it saves copies. Nobody may be trusted with it: what is reserved grows with
  /// what has come.
  void expect(std::size_t bytes) { expected_ = bytes; }
  /// Copies a piece in. Errors: kBodyTooLarge, kBudgetExhausted.
  [[nodiscard]] Result<void> append(std::string_view piece);
  /// Puts other bytes in its place, such as a rewritten body.
  void replace(std::string bytes) { held_->bytes = std::move(bytes); }

  [[nodiscard]] std::string& bytes() noexcept { return held_->bytes; }
  [[nodiscard]] std::size_t size() const noexcept { return held_->bytes.size(); }
  /// A part of it to send, which is not copied.
  [[nodiscard]] net::H2Bytes part(std::size_t at, std::size_t bytes) const {
    return {.owner = held_, .bytes = std::string_view{held_->bytes}.substr(at, bytes)};
  }
  /// Forgets the bytes; those on their way out stay until they are sent.
  void release();

 private:
  struct Held {
    explicit Held(Budget& of) : budget{of} {}
    ~Held() { budget.release(charged); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    Budget& budget;
    std::size_t charged = 0;
    std::string bytes;
  };
  std::shared_ptr<Held> held_;
  std::size_t bytes_max_;
  std::size_t expected_ = 0;
};

}  // namespace llmd::epp
