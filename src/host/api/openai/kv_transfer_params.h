#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace llmd::openai {

/// `kv_transfer_params`: how a router, a prefill worker and a decode worker steer each other, in the shape that vLLM's
/// NIXL connector uses. Trusted listeners only: the gateway removes it from clients' requests.
struct KvTransferParams {
  bool do_remote_decode = false;   // to a prefill worker: keep the blocks, answer with these params
  bool do_remote_prefill = false;  // to a decode worker: pull the blocks named here
  std::vector<std::vector<std::int64_t>> remote_block_ids;  // one list a KV group; a flat list is read as one group
  std::string remote_engine_id;
  std::string remote_request_id;
  std::string remote_host;
  std::uint16_t remote_port = 0;
  std::uint32_t remote_num_tokens = 0;
  std::uint32_t tp_size = 1;
  std::string json;  // the object as it came, unknown keys included; empty if made here
};

/// Appends the object with its known keys, as the answer of a prefill worker carries it.
void append_kv_transfer_params(std::string& out, const KvTransferParams& params);

}  // namespace llmd::openai
