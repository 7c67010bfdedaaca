#include "api/openai/kv_transfer_params.h"

#include <fmt/format.h>

#include <limits>
#include <string>

#include "api/openai/json_writer.h"
#include "api/openai/kv_transfer_fields.h"
#include "api/openai/limits.h"
#include "api/openai/rule_table.h"

namespace llmd::openai {
namespace {

constexpr std::int64_t kIdMax = std::numeric_limits<std::int64_t>::max();

Result<void> read_group(std::string_view field, Array ids, std::vector<std::int64_t>& group) {
  for (const Element id : ids) {
    if (group.size() == kRemoteBlocksMax)
      return bad_field(field, "longer", fmt::format("at most {} block ids", kRemoteBlocksMax));
    LLMD_TRY(const std::int64_t value, read_integer(field, id, {.min = 0, .max = kIdMax}));
    group.push_back(value);
  }
  return {};
}

/// A list of lists, or the flat list of older versions.
Result<void> read_block_ids(KvTransferParams& params, std::string_view field, Element value) {
  LLMD_TRY(const Array list, read_array(field, value));
  std::vector<std::vector<std::int64_t>> groups;
  std::vector<std::int64_t> flat;
  std::size_t total = 0;
  for (const Element entry : list) {
    if (++total > kRemoteBlocksMax)
      return bad_field(field, "longer", fmt::format("at most {} block ids", kRemoteBlocksMax));
    Array inner;
    if (entry.get(inner) == simdjson::SUCCESS) {
      LLMD_TRY_VOID(read_group(field, inner, groups.emplace_back()));
      total += groups.back().size();
    } else {
      LLMD_TRY(const std::int64_t id, read_integer(field, entry, {.min = 0, .max = kIdMax}));
      flat.push_back(id);
    }
  }
  if (!groups.empty() && !flat.empty())
    return bad_field(field, "a mix of lists and integers", "one list of integers a KV group");
  if (!flat.empty()) groups.push_back(std::move(flat));
  params.remote_block_ids = std::move(groups);
  return {};
}

template <std::string KvTransferParams::* member>
Result<void> read_name(KvTransferParams& params, std::string_view field, Element value) {
  return assign(params.*member, read_string(field, value, kNameBytesMax));
}

template <bool KvTransferParams::* member>
Result<void> read_flag(KvTransferParams& params, std::string_view field, Element value) {
  return assign(params.*member, read_bool(field, value));
}

using Rule = FieldRule<KvTransferParams>;
constexpr auto kRules = rule_table<KvTransferParams>({
    Rule{"do_remote_decode", read_flag<&KvTransferParams::do_remote_decode>},
    Rule{"do_remote_prefill", read_flag<&KvTransferParams::do_remote_prefill>},
    Rule{"remote_block_ids", read_block_ids},
    Rule{"remote_engine_id", read_name<&KvTransferParams::remote_engine_id>},
    Rule{"remote_host", read_name<&KvTransferParams::remote_host>},
    Rule{"remote_num_tokens",
         [](KvTransferParams& params, std::string_view field, Element value) {
           return assign(params.remote_num_tokens, read_integer(field, value, {.min = 0, .max = kOutputTokensMax}));
         }},
    Rule{"remote_port",
         [](KvTransferParams& params, std::string_view field, Element value) {
           return assign(params.remote_port, read_integer(field, value, {.min = 0, .max = 65'535}));
         }},
    Rule{"remote_request_id", read_name<&KvTransferParams::remote_request_id>},
    Rule{"tp_size",
         [](KvTransferParams& params, std::string_view field, Element value) {
           return assign(params.tp_size, read_integer(field, value, {.min = 1, .max = 1'024}));
         }},
});

}  // namespace

Result<KvTransferParams> read_kv_transfer_params(std::string_view field, Element value) {
  LLMD_TRY(const Object object, read_object(field, value));
  KvTransferParams params;
  for (const auto entry : object) {
    const auto* rule = kRules.find(entry.key);
    if (rule == nullptr || entry.value.is_null()) continue;
    LLMD_TRY_VOID(rule->read(params, fmt::format("{}.{}", field, entry.key), entry.value));
  }
  if (params.do_remote_decode && params.do_remote_prefill) {
    return bad_field(field, "both do_remote_decode and do_remote_prefill", "at most one of them true");
  }
  params.json = to_json(value);
  return params;
}

void append_kv_transfer_params(std::string& out, const KvTransferParams& params) {
  JsonWriter json{out};
  json.begin_object();
  json.key("do_remote_prefill").boolean(params.do_remote_prefill);
  json.key("do_remote_decode").boolean(params.do_remote_decode);
  json.key("remote_block_ids").begin_array();
  for (const auto& group : params.remote_block_ids) {
    json.begin_array();
    for (const std::int64_t id : group) json.integer(id);
    json.end_array();
  }
  json.end_array();
  json.key("remote_engine_id").string(params.remote_engine_id);
  json.key("remote_request_id").string(params.remote_request_id);
  json.key("remote_host").string(params.remote_host);
  json.key("remote_port").integer(params.remote_port);
  json.key("remote_num_tokens").integer(params.remote_num_tokens);
  json.key("tp_size").integer(params.tp_size);
  json.end_object();
}

}  // namespace llmd::openai
