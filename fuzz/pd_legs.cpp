// links: llmd_api
// Request bodies and prefill answers through the legs of every connector: no crash, a leg of a JSON object is one, its
// fields have the values of the edits, and no other field differs from the client's.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "api/openai/body_edits.h"
#include "api/openai/media_parts.h"
#include "pd/encode.h"
#include "pd/mooncake.h"
#include "pd/moriio.h"
#include "pd/nixl.h"
#include "pd/offloading.h"
#include "pd/sglang.h"
#include "pd/shared_storage.h"

namespace {

using Json = nlohmann::json;
namespace pd = llmd::pd;

const Json* at(const Json& object, std::string_view path) {
  const Json* value = &object;
  while (value != nullptr && value->is_object()) {
    const std::size_t dot = path.find('.');
    const auto found = value->find(path.substr(0, dot));
    if (found == value->end()) return nullptr;
    if (dot == std::string_view::npos) return &*found;
    value = &*found;
    path.remove_prefix(dot + 1);
  }
  return nullptr;
}

bool touches(const pd::FieldEdits& edits, std::string_view key) {
  for (const pd::FieldEdit& edit : edits) {
    if (std::string_view{edit.path}.substr(0, edit.path.find('.')) == key) return true;
  }
  return false;
}

void check(std::string_view body, const pd::FieldEdits& edits) {
  const auto edited = llmd::openai::edited(body, edits);
  const Json before = Json::parse(body, nullptr, false);
  if (!before.is_object() || !edited) return;
  const Json after = Json::parse(*edited, nullptr, false);
  if (!after.is_object()) std::abort();
  for (const pd::FieldEdit& edit : edits) {
    const Json* const value = at(after, edit.path);
    if (edit.when != pd::FieldEdit::When::kAlways) continue;
    if (edit.raw_json.empty() ? value != nullptr : value == nullptr || *value != Json::parse(edit.raw_json))
      std::abort();
  }
  for (const auto& [key, value] : before.items()) {
    if (!touches(edits, key) && !after.contains(key)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view body{reinterpret_cast<const char*>(data) + 1, size - 1};
  const auto kind = static_cast<pd::BodyKind>(data[0] % 3);
  const pd::KvSource source{.request_id = "r", .host = "h", .port = 1};
  const pd::MooncakeMeeting meeting{.transfer_id = "t", .bootstrap_addr = "http://h:1", .engine_id = "e"};
  const pd::MoriioOptions moriio{.decode_host = "d", .dp_size = 4, .dp_size_local = 2, .prefill_hosts = {"a", "b"}};
  const pd::MoriioPlan plan{.transfer_id = "tx", .rank = 1};
  check(body, pd::nixl_prefill_edits(kind, &source));
  check(body, pd::offloading_prefill_edits(kind, "r", &source));
  check(body, pd::offloading_decode_edits(source));
  check(body, pd::sglang_edits({.host = "h", .bootstrap_port = 1, .room = 2}));
  check(body, pd::mooncake_prefill_edits(kind, meeting));
  check(body, pd::mooncake_decode_edits(meeting));
  check(body, pd::shared_storage_prefill_edits(kind));
  check(body, pd::moriio_prefill_edits(kind, moriio, plan));
  check(body, pd::moriio_parallel_decode_edits(moriio, plan, "h"));
  // The same bytes as a prefill side's answer.
  std::string answer{body};
  if (const auto params = llmd::openai::raw_member(answer, pd::kTransferField); params && *params) {
    std::string words{**params};
    if (const auto second = pd::nixl_decode_edits(words)) (void)llmd::openai::edited(R"({"a":1})", *second);
    (void)llmd::openai::apply_edits(words, pd::moriio_params_edits(moriio, plan, 1));
  }
  (void)pd::moriio_decode_rank(body, moriio, plan);
  std::string media{body};
  if (const auto parts = llmd::openai::media_parts(media, 16)) {
    for (const auto& part : *parts) (void)llmd::openai::edited(body, pd::encode_edits(part.raw));
  }
  return 0;
}
