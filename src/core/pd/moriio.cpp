#include "pd/moriio.h"

#include <fmt/format.h>

#include <charconv>

#include "base/blake2s.h"
#include "pd/nixl.h"

namespace llmd::pd {
namespace {

/// The rank, and how many there are on how many pods.
std::string placement(const MoriioOptions& options, const MoriioPlan& plan, const std::vector<std::string>& hosts) {
  std::string text = fmt::format(R"("remote_dp_rank":{},"remote_dp_rank_override":true,"transfer_id":{},)"
                                 R"("tp_size":{},"remote_dp_size":{})",
                                 plan.rank, quoted(plan.transfer_id), options.tp_size, options.dp_size);
  if (hosts.empty()) return text;
  text += fmt::format(R"(,"remote_hosts":{})", quoted_list(hosts));
  if (options.dp_size_local > 0) text += fmt::format(R"(,"remote_dp_size_local":{})", options.dp_size_local);
  return text;
}

}  // namespace

std::uint32_t moriio_rank(std::string_view request_id, std::uint32_t dp_size) {
  if (dp_size <= 1) return 0;
  const Digest256 digest = blake2s256(request_id);
  std::uint64_t first = 0;
  for (std::size_t i = 0; i < 8; ++i) first = (first << 8U) | digest[i];
  return static_cast<std::uint32_t>(first % dp_size);
}

FieldEdits moriio_prefill_edits(BodyKind kind, const MoriioOptions& options, const MoriioPlan& plan,
                                const KvSource* source) {
  const std::string pull = source != nullptr ? fmt::format(",{}", kv_source_member(*source)) : std::string{};
  const std::string params =
      fmt::format(R"({{"do_remote_decode":true,"do_remote_prefill":false,"remote_engine_id":null,)"
                  R"("remote_block_ids":null,"remote_host":{},"remote_port":null,"remote_notify_port":{},)"
                  R"("remote_handshake_port":{},{}{}}})",
                  quoted(options.decode_host), options.decode_notify_port, options.decode_handshake_port,
                  placement(options, plan, options.decode_hosts), pull);
  FieldEdits edits = every_length_edits(kind);
  edits.insert(edits.begin(), set_field(kTransferField, params));
  return edits;
}

std::uint32_t moriio_decode_rank(std::optional<std::string_view> raw_rank, const MoriioOptions& options,
                                 const MoriioPlan& plan) {
  if (options.dp_size <= 1 || !raw_rank) return plan.rank;
  std::uint32_t told = 0;
  const char* const end = raw_rank->data() + raw_rank->size();
  const auto [rest, status] = std::from_chars(raw_rank->data(), end, told);
  return status == std::errc{} && rest == end && told < options.dp_size ? told : plan.rank;
}

FieldEdits moriio_params_edits(const MoriioOptions& options, const MoriioPlan& plan, std::uint32_t rank) {
  constexpr auto kIfAbsent = FieldEdit::When::kIfAbsent;
  FieldEdits edits{
      set_field("remote_dp_rank", std::to_string(rank)),
      set_field("remote_dp_rank_override", "true"),
      set_field("transfer_id", quoted(plan.transfer_id), kIfAbsent),
      set_field("remote_notify_port", std::to_string(options.decode_notify_port), kIfAbsent),
      set_field("remote_handshake_port", std::to_string(options.decode_handshake_port), kIfAbsent),
      set_field("remote_dp_size", std::to_string(options.dp_size), kIfAbsent),
  };
  if (options.prefill_hosts.empty()) return edits;
  edits.push_back(set_field("remote_hosts", quoted_list(options.prefill_hosts), kIfAbsent));
  if (options.dp_size_local > 0)
    edits.push_back(set_field("remote_dp_size_local", std::to_string(options.dp_size_local), kIfAbsent));
  return edits;
}

FieldEdits moriio_parallel_decode_edits(const MoriioOptions& options, const MoriioPlan& plan,
                                        std::string_view prefill_host) {
  const std::uint16_t port = options.prefill_handshake_port;
  return {set_field(
      kTransferField,
      fmt::format(R"({{"do_remote_prefill":true,"do_remote_decode":false,"remote_engine_id":{0},"remote_block_ids":[],)"
                  R"("remote_host":{1},"remote_port":{2},"remote_notify_port":{3},"remote_handshake_port":{2},{4}}})",
                  quoted(fmt::format("{}:{}", prefill_host, port)), quoted(prefill_host), port,
                  options.prefill_notify_port, placement(options, plan, options.prefill_hosts)))};
}

}  // namespace llmd::pd
