#include "rpc/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

namespace llmd::rpc {
namespace {

constexpr int kGzipWindowBits = 15 + 16;  // the largest window; with gzip's head, not zlib's

/// zlib's state of one thread: some 40 KiB that are not made anew for each message.
class Inflater {
 public:
  Inflater() { usable_ = ::inflateInit2(&stream_, kGzipWindowBits) == Z_OK; }
  ~Inflater() {
    if (usable_) ::inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// False: zlib has no memory.
  bool begin(std::string_view bytes) {
    if (!usable_ || ::inflateReset(&stream_) != Z_OK) return false;
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    return true;
  }
  /// Fills `to`; the bytes that came.
  std::size_t next(char* to, std::size_t room) {
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(room);
    verdict_ = ::inflate(&stream_, Z_NO_FLUSH);
    return room - stream_.avail_out;
  }
  [[nodiscard]] bool at_end() const noexcept { return verdict_ == Z_STREAM_END; }
  /// Damaged, or cut.
  [[nodiscard]] bool stuck(std::size_t got) const noexcept {
    return (verdict_ != Z_OK && verdict_ != Z_STREAM_END) || (verdict_ == Z_OK && got == 0);
  }
  [[nodiscard]] bool has_more_input() const noexcept { return stream_.avail_in > 0; }

 private:
  z_stream stream_{};
  bool usable_ = false;
  int verdict_ = Z_OK;
};

}  // namespace

Result<std::string> inflate_gzip(std::string_view bytes, std::size_t bytes_max) {
  constexpr std::size_t kFirstStep = 4 * 1024;
  thread_local Inflater inflater;
  if (!inflater.begin(bytes)) return fail(ErrorCode::kOutOfMemory, "there is no memory to inflate a message");
  std::string text;
  do {
    const std::size_t had = text.size();
    const std::size_t room = std::min(std::max(kFirstStep, had), bytes_max - had + 1);
    std::size_t got = 0;
    text.resize_and_overwrite(had + room, [&](char* data, std::size_t) {
      got = inflater.next(data + had, room);
      return had + got;
    });
    if (text.size() > bytes_max) {
      return fail(ErrorCode::kBodyTooLarge,
                  fmt::format("a message of more than {} bytes once it is inflated", bytes_max));
    }
    if (inflater.stuck(got)) return fail(ErrorCode::kProtocol, "a compressed message is damaged or cut");
  } while (!inflater.at_end());
  if (inflater.has_more_input()) return fail(ErrorCode::kProtocol, "there is more after a compressed message");
  return text;
}

}  // namespace llmd::rpc
