#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "kube/objects.h"

namespace llmd::kube {

struct WatchEvent {
  enum class Kind : std::uint8_t { kAdded, kModified, kDeleted, kBookmark, kError };
  Kind kind{};
  Object object;          // a bookmark's has only its version
  int code = 0;           // of an error, as HTTP's: 410
  std::string message{};  // of an error
};

/// The bytes of a watch into events; they may be cut anywhere.
class WatchDecoder {
 public:
  static constexpr std::size_t kEventBytesMax = 4 * 1024 * 1024;

  /// Adds those that are whole to `events`. Unknown kinds are left out. Errors: kProtocol (no event), kBodyTooLarge.
  [[nodiscard]] Result<void> feed(std::string_view bytes, std::vector<WatchEvent>& events);

 private:
  std::string line_;  // its begin, until its end comes
};

/// One page of a list.
struct ListPage {
  std::vector<Object> objects;
  std::string resource_version;
  std::string continue_token;  // of the next page; empty: it was the last
};

/// Error kProtocol.
[[nodiscard]] Result<ListPage> read_list(std::string_view json);

}  // namespace llmd::kube
