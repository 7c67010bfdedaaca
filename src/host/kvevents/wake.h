#pragma once

namespace llmd::kvevents {

/// Ends the poll of the publisher's thread from another one.
class Wake {
 public:
  Wake() noexcept;
  ~Wake();
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;

  void signal() const noexcept;
  /// What was signalled until now is heard.
  void clear() const noexcept;
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  const int fd_;
};

}  // namespace llmd::kvevents
