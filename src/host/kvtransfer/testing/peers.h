#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "kvstore/block_store.h"
#include "kvtransfer/block_client.h"
#include "kvtransfer/block_server.h"
#include "kvtransfer/wire_connection.h"
#include "net/listener.h"
#include "runtime/testing/run.h"

namespace llmd::kvtransfer::testkit {

using llmd::testkit::run_task;
using llmd::testkit::run_until;

inline constexpr std::size_t kBlockBytes = 4'096;
inline constexpr std::uint32_t kBlockTokens = 32;

inline BlockId name(std::uint64_t number) {
  BlockId id;
  std::memcpy(id.bytes.data(), &number, sizeof number);
  return id;
}

/// What block `number` holds, on any machine.
inline std::vector<std::byte> content(std::uint64_t number, std::size_t bytes = kBlockBytes) {
  std::vector<std::byte> block(bytes);
  Rng rng{number};
  for (auto& byte : block) byte = std::byte(rng.next() & 0xFFU);
  return block;
}

inline Hello identity(std::uint64_t block_bytes = kBlockBytes) {
  return {.model_fingerprint = name(77).bytes,
          .block_tokens = kBlockTokens,
          .block_bytes = block_bytes,
          .shared_memory = true};
}

/// A store of its own, with room for `blocks` blocks.
struct Store {
  explicit Store(std::size_t blocks = 1'000, std::size_t block_bytes = kBlockBytes, bool shareable = true)
      : budget{"kv_store", blocks * block_bytes},
        store{{.block_bytes = block_bytes, .shareable = shareable, .slab_bytes = 4 * block_bytes}, budget} {}
  /// Blocks first, first + 1, ... as one chain.
  std::vector<LeasedBlock> fill(std::uint64_t first, std::size_t count) {
    std::vector<LeasedBlock> blocks;
    for (std::uint64_t i = first; i < first + count; ++i) {
      const auto parent = blocks.empty() ? std::nullopt : std::optional{blocks.back().id};
      EXPECT_TRUE(store.put(name(i), parent, content(i, store.block_bytes())).has_value());
      blocks.push_back({name(i), store.get(name(i))});
    }
    return blocks;
  }
  /// Whether the blocks first, first + 1, ... are there with the right bytes.
  [[nodiscard]] bool holds(std::uint64_t first, std::size_t count) {
    for (std::uint64_t i = first; i < first + count; ++i) {
      const kvstore::BlockHandle block = store.get(name(i));
      const auto bytes = content(i, store.block_bytes());
      if (!block || !std::ranges::equal(block.bytes(), bytes)) return false;
    }
    return true;
  }
  Budget budget;
  kvstore::BlockStore store;
};

inline std::vector<BlockId> names(std::uint64_t first, std::size_t count) {
  std::vector<BlockId> ids;
  for (std::uint64_t i = first; i < first + count; ++i) ids.push_back(name(i));
  return ids;
}

inline net::Address tcp_address() { return {.host = "127.0.0.1", .port = 0, .unix_path = {}}; }

/// A folder for sockets that goes with the test.
class SocketFolder {
 public:
  SocketFolder() {
    std::string path = testing::TempDir() + "llmd-kv-XXXXXX";
    EXPECT_NE(::mkdtemp(path.data()), nullptr);
    path_ = path;
  }
  ~SocketFolder() { ::rmdir(path_.c_str()); }
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;
  [[nodiscard]] net::Address address(const std::string& file) const {
    return {.host = {}, .port = 0, .unix_path = path_ + "/" + file};
  }
  [[nodiscard]] std::string entry() const { return "unix:" + path_ + "/"; }

 private:
  std::string path_;
};

/// A listener whose next connections a test handles by itself, one after the other.
class ScriptedListener {
 public:
  ScriptedListener(Loop& loop, const net::Address& address)
      : loop_{loop}, listener_{*net::Listener::open(address, 0600)}, descriptor_{loop.executor(), listener_.fd()} {}
  ~ScriptedListener() { descriptor_.release(); }
  ScriptedListener(const ScriptedListener&) = delete;
  ScriptedListener& operator=(const ScriptedListener&) = delete;

  [[nodiscard]] const net::Address& address() const noexcept { return listener_.address(); }
  [[nodiscard]] Task<std::unique_ptr<net::Socket>> accept() {
    while (true) {
      const int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        const auto [error] =
            co_await descriptor_.async_wait(asio::posix::descriptor_base::wait_read, asio::as_tuple(use_task));
        if (error) co_return nullptr;
        continue;
      }
      auto socket = std::make_unique<net::Socket>(loop_.executor());
      socket->assign(asio::generic::stream_protocol{address().is_unix() ? AF_UNIX : AF_INET, 0}, fd);
      co_return socket;
    }
  }

 private:
  Loop& loop_;
  net::Listener listener_;
  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> descriptor_;
};

}  // namespace llmd::kvtransfer::testkit
