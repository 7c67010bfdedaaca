#pragma once

#include <cstddef>
#include <functional>
#include <unordered_map>
#include <vector>

#include "kvtransfer/lease.h"
#include "kvtransfer/transfer_metrics.h"
#include "kvtransfer/wire_connection.h"

namespace llmd::kvtransfer {

/// What all connections of a holder share.
struct HolderContext {
  Loop& loop;
  Hello identity;  // shared_memory: whether it may be passed
  LeaseTable& leases;
  Duration handshake_max{};
  Duration idle_max{};   // between two requests
  Duration stall_max{};  // for one block to be taken
  TransferMetrics& metrics;
  std::function<void()> on_release;  // a lease ended
};

/// A puller's connection: greets, answers its requests from leases, ends leases it is done with. Belongs to one loop.
class HolderConnection {
 public:
  /// The context must outlive run().
  HolderConnection(HolderContext& context, net::Socket socket, bool is_unix);

  /// Its whole life. Errors: those of the connection, kBlockMismatch (another model), kProtocol. An end between two
  /// requests is none.
  [[nodiscard]] Task<Result<void>> run();
  /// Lets go of all blocks at once and makes run() return.
  void close();

 private:
  [[nodiscard]] Task<Result<void>> greet();
  [[nodiscard]] Task<Result<void>> serve();
  [[nodiscard]] Task<Result<void>> answer(BlockRequest request);
  [[nodiscard]] Task<Result<void>> send_block(const BlockRequest& request, std::size_t index);
  [[nodiscard]] Task<Result<void>> send_in_place(BlockReply reply, const kvstore::SharedSlab& slab,
                                                 std::span<const std::byte> block);
  [[nodiscard]] Task<Result<void>> refuse(WireErrorCode code, Error error);

  HolderContext& context_;
  WireConnection connection_;
  const bool is_unix_;
  bool shares_ = false;                                        // both sides want shared memory
  std::unordered_map<std::uint64_t, std::uint32_t> memories_;  // passed: number by slab
  std::vector<kvstore::BlockHandle> sending_;                  // of the request being answered
};

}  // namespace llmd::kvtransfer
