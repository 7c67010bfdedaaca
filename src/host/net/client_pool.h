#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "net/address.h"
#include "net/client.h"
#include "net/stream.h"

namespace llmd::net {

/// The connections of one client: idle ones by address, and a count of all. Belongs to one loop.
class ClientPool : public std::enable_shared_from_this<ClientPool> {
 public:
  ClientPool(Loop& on, ClientOptions given) : loop{on}, options{given} {}
  ~ClientPool() { close_idle(); }
  ClientPool(const ClientPool&) = delete;
  ClientPool& operator=(const ClientPool&) = delete;

  /// The idle connection to `address` that was used last, or null.
  [[nodiscard]] std::shared_ptr<Stream> take(const Address& address);
  /// Keeps a connection on which nothing is pending; closes it if there are enough or the client is gone.
  void give(const Address& address, std::shared_ptr<Stream> stream);
  /// A new one, not connected.
  [[nodiscard]] std::shared_ptr<Stream> make();
  /// Closes a connection that make() or take() returned.
  void drop(const std::shared_ptr<Stream>& stream);
  /// No idle connection from now on: the client is gone.
  void close_idle();
  [[nodiscard]] std::size_t open() const noexcept { return open_; }

  Loop& loop;
  const ClientOptions options;
  std::function<void(const Address&)> idle_ended;  // Client::on_idle_end

 private:
  void on_idle_input(const Address& address, const Stream* stream);

  std::map<Address, std::vector<std::shared_ptr<Stream>>> idle_;  // bound: idle_connections_max an address
  std::size_t open_ = 0;
  bool closed_ = false;
};

}  // namespace llmd::net
