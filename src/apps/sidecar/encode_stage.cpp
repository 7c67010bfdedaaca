// The stage before prefill for images, videos and sounds: each is encoded by an endpoint of its own kind.
#include <fmt/format.h>

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "api/openai/body_edits.h"
#include "api/openai/media_parts.h"
#include "apps/sidecar/call.h"
#include "apps/sidecar/encode_batch.h"
#include "pd/encode.h"
#include "pd/nixl.h"
#include "pd/shared_storage.h"
#include "telemetry/log.h"

namespace llmd::sidecar {
namespace {

constexpr std::size_t kPartsMax = 256;  // of one request
constexpr std::size_t kEncodeAnswerBytesMax = std::size_t{4} << 20U;

/// The members of all answers' ec_transfer_params as one object, later ones in the place of earlier ones; empty if
/// there are none. Errors: an answer is no JSON; kProtocol, if they are longer than kTransferParamsMax.
Result<std::string> merged_params(std::vector<std::string>& answers) {
  std::vector<std::string> members;
  std::unordered_map<std::string, std::size_t> places;  // by key
  std::size_t bytes = 0;
  for (std::string& answer : answers) {
    LLMD_TRY(const std::optional<std::string_view> raw, openai::raw_member(answer, pd::kEncoderField));
    if (!raw || !raw->starts_with('{')) continue;
    std::string params{*raw};
    LLMD_TRY(const std::vector<openai::RawMember> found, openai::raw_members(params));
    for (const openai::RawMember& member : found) {
      const auto [place, is_new] = places.try_emplace(member.key, members.size());
      if (is_new) members.emplace_back();
      std::string& whole = members[place->second];
      bytes = bytes - whole.size() + member.whole.size();
      if (bytes > pd::kTransferParamsMax)
        return fail(ErrorCode::kProtocol, "the encoders' ec_transfer_params are too long");
      whole = member.whole;
    }
  }
  std::string object;
  for (const std::string& whole : members) {
    object += object.empty() ? '{' : ',';
    object += whole;
  }
  if (!object.empty()) object += '}';
  return object;
}

}  // namespace

Task<bool> Call::encode() {
  auto parts = openai::media_parts(body_, kPartsMax);
  if (!parts) {
    co_await answer(400, parts.error().what);
    co_return false;
  }
  auto bare = openai::edited(body_, {pd::set_field("messages", "[]")});
  if (!bare) {
    co_await answer(400, bare.error().what);
    co_return false;
  }
  // All else goes to each encoder: a long tail and many items would take many times what a body may.
  if (bare->size() * parts->size() > options().body_bytes_max) {
    co_await answer(413, fmt::format("{} images, videos and sounds are too many beside {} bytes of other fields",
                                     parts->size(), bare->size()));
    co_return false;
  }
  const auto batch = std::make_shared<EncodeBatch>(context_.loop, metrics());
  for (std::size_t i = 0; i < parts->size(); ++i) {
    auto body = openai::edited(*bare, pd::encode_edits((*parts)[i].raw));
    if (!body) {
      co_await answer(400, body.error().what);
      co_return false;
    }
    LegRequest request{.client = &context_.encoder,
                       .address = plan_.encoders[i % plan_.encoders.size()],
                       .method = "POST",
                       .target = "/v1/chat/completions",
                       .headers = plan_.headers,
                       .body = *std::move(body),
                       .answer_bytes_max = kEncodeAnswerBytesMax,
                       .timeout = options().prefill_timeout};
    request.headers.remove("accept-encoding");
    request.headers.set("content-type", "application/json");
    request.headers.set("x-request-id", fmt::format("{}-enc-{}", plan_.request_id, i));
    batch->requests.push_back(std::move(request));
  }
  encodes_ = batch;
  EncodeBatch::start(batch);
  const TimePoint until = SteadyClock::now() + options().prefill_timeout * (1 + parts->size() / EncodeBatch::kAtOnce);
  const bool done = co_await batch->done.wait_until(until + seconds{1});
  if (!done) batch->cancel();
  encodes_ = nullptr;
  if (left_) co_return false;
  Result<std::string> params = std::string{};
  const bool tells = options().encoder_connector == EncoderConnector::kNixl;
  if (!batch->failure && tells) params = merged_params(batch->answers);
  if (batch->failure || !params) {
    const std::string why = batch->failure ? *batch->failure : params.error().to_string();
    log::write(log::Level::kWarn, plan_.request_id, fmt::format("the encode stage failed: {}", why));
    co_await answer(502, fmt::format("the encode stage failed: {}", why));
    co_return false;
  }
  pd::FieldEdits edits = pd::encoded_edits(*params);
  // That field tells shared-storage whether to ask here first, by what the client says; its legs set it themselves.
  if (plan_.prefill && options().connector == pd::Connector::kSharedStorage)
    std::erase_if(edits, [](const pd::FieldEdit& edit) { return edit.path == pd::kCacheThresholdField; });
  co_return co_await edit_body(edits);
}

}  // namespace llmd::sidecar
