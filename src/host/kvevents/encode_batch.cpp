#include "kvevents/encode_batch.h"

#include "kvevents/msgpack_writer.h"

namespace llmd::kvevents {
namespace {

constexpr std::string_view kMedium = "GPU";
constexpr std::string_view kKind = "full_attention";
constexpr std::size_t kStoredBytes = 256;  // of names and headers
constexpr std::size_t kOtherBytes = 80;    // of a batch, or an event of another kind

/// Of each block nothing, but of a chain's first block the salt, with which consumers key it.
void write_extra_keys(MsgpackWriter& out, const BlocksStored& event) {
  out.text("extra_keys");
  out.array(event.blocks.size());
  for (std::size_t i = 0; i < event.blocks.size(); ++i) {
    if (i > 0 || event.parent || event.cache_salt.empty()) {
      out.nil();
    } else {
      out.array(1);
      out.text(event.cache_salt);
    }
  }
}

void write_group(MsgpackWriter& out) {
  out.text("group_idx");
  out.uint(0);
}

void write(MsgpackWriter& out, const BlocksStored& event) {
  out.map(11);
  out.text("type");
  out.text("BlockStored");
  out.text("block_hashes");
  out.array(event.blocks.size());
  for (const std::uint64_t block : event.blocks) out.uint(block);
  out.text("parent_block_hash");
  if (event.parent) {
    out.uint(*event.parent);
  } else {
    out.nil();
  }
  out.text("token_ids");
  out.array(event.tokens.size());
  for (const TokenId token : event.tokens) out.uint(static_cast<std::uint32_t>(token));
  out.text("block_size");
  out.uint(event.block_tokens);
  out.text("lora_id");
  out.nil();
  out.text("medium");
  out.text(kMedium);
  out.text("lora_name");
  out.nil();
  write_extra_keys(out, event);
  write_group(out);
  out.text("kv_cache_spec_kind");
  out.text(kKind);
}

void write(MsgpackWriter& out, const BlockRemoved& event) {
  out.map(4);
  out.text("type");
  out.text("BlockRemoved");
  out.text("block_hashes");
  out.array(1);
  out.uint(event.block);
  out.text("medium");
  out.text(kMedium);
  write_group(out);
}

void write(MsgpackWriter& out, const BlocksCleared& /*event*/) {
  out.map(1);
  out.text("type");
  out.text("AllBlocksCleared");
}

}  // namespace

std::string encode_batch(double unix_s, std::span<const KvEvent> events) {
  std::string payload;
  payload.reserve(approximate_bytes(events));
  MsgpackWriter out{payload};
  out.array(3);
  out.float64(unix_s);
  out.array(events.size());
  for (const KvEvent& event : events) std::visit([&out](const auto& each) { write(out, each); }, event);
  out.uint(0);
  return payload;
}

std::size_t approximate_bytes(std::span<const KvEvent> events) noexcept {
  std::size_t bytes = kOtherBytes;
  for (const KvEvent& event : events) {
    const auto* stored = std::get_if<BlocksStored>(&event);
    bytes += stored == nullptr
                 ? kOtherBytes
                 : kStoredBytes + stored->blocks.size() * 10 + stored->tokens.size() * 5 + stored->cache_salt.size();
  }
  return bytes;
}

}  // namespace llmd::kvevents
