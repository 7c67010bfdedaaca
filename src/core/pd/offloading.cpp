#include "pd/offloading.h"

#include <fmt/format.h>

namespace llmd::pd {
namespace {

std::string place(const KvSource& source) {
  return fmt::format(R"({{"kv_request_id":{},"remote_host":{},"remote_port":{}}})", quoted(source.request_id),
                     quoted(source.host), source.port);
}

}  // namespace

std::string kv_source_member(const KvSource& source) { return fmt::format(R"("remote_kv_source":{})", place(source)); }

FieldEdits offloading_prefill_edits(BodyKind kind, const std::string& request_id, const KvSource* source) {
  const std::string pull = source != nullptr ? fmt::format(",{}", kv_source_member(*source)) : std::string{};
  const std::string params = fmt::format(R"({{"remote_decoder":{{"kv_request_id":{}}}{}}})", quoted(request_id), pull);
  FieldEdits edits = one_token_edits(kind);
  edits.insert(edits.begin(), set_field(kTransferField, params));
  return edits;
}

FieldEdits offloading_decode_edits(const KvSource& prefill) {
  return {set_field(kTransferField, fmt::format(R"({{"remote_prefiller":{}}})", place(prefill)))};
}

FieldEdits kv_source_edits(const KvSource& source) {
  return {set_field(kTransferField, fmt::format("{{{}}}", kv_source_member(source)))};
}

}  // namespace llmd::pd
