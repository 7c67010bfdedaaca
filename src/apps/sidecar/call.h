#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/sidecar/cached_tokens.h"
#include "apps/sidecar/leg.h"
#include "apps/sidecar/loop_context.h"
#include "apps/sidecar/request_plan.h"
#include "net/server.h"
#include "pd/field_edit.h"

namespace llmd::sidecar {

struct Partner;
struct EncodeBatch;

/// One request on its way through the sidecar: encode stage, prefill leg, decode. Lives in the coroutine that serves
/// it. Each connector's way is in a file of its own.
class Call {
 public:
  Call(LoopContext& context, net::Request request, net::Exchange& exchange, unsigned rank);

  /// Answers in any case, unless the client leaves.
  [[nodiscard]] Task<void> run();

 private:
  /// What became of a prefill leg.
  enum class Prefill : std::uint8_t {
    kDone,      // its answer is there
    kLocal,     // it failed: the engine here computes the prompt
    kAnswered,  // the client has its answer, or has left
  };
  struct PrefillEnd {
    Prefill end = Prefill::kLocal;
    LegAnswer answer;
  };
  /// What has been read of an answer's body before it is passed on.
  struct Begun {
    std::string_view bytes;
    bool ended = false;
  };
  /// The bodies of two legs that are sent at once.
  struct TwoBodies {
    pd::FieldEdits prefill_edits;
    std::string prefill_rank;  // for the rank's header; empty: none
    std::string decode_rank;
    pd::FieldEdits decode_edits;
    bool commits_late = false;  // the answer waits for the prefill leg's end
  };

  Task<void> serve();
  Task<void> serve_split();
  Task<void> answer(net::Response response);
  Task<void> answer(int status, std::string message);
  void client_left();
  [[nodiscard]] const Options& options() const noexcept { return context_.shared.options; }
  [[nodiscard]] SidecarMetrics& metrics() const noexcept { return context_.shared.metrics; }
  /// Applies edits to the body; false: it is no JSON object, and the client has been told so.
  Task<bool> edit_body(const pd::FieldEdits& edits);

  // decode.cpp: the engine beside the sidecar.
  [[nodiscard]] net::Headers engine_headers() const;
  Task<Result<std::unique_ptr<net::ClientResponse>>> ask_engine(std::string_view body, net::CancelToken& cancel);
  Task<void> decode();
  Task<void> relay(net::ClientResponse& response, Begun begun);
  Task<void> relay_counted(net::ClientResponse& response, Begun begun);
  Task<void> pump(net::ClientResponse& response, Begun begun, CachedTokensStream* counts);
  Task<void> answer_engine_failure(Error error);
  void note_engine_failure(const Error& error);

  // chunked_decode.cpp. False: nothing was sent, and the answer is to be asked for whole.
  Task<bool> decode_in_chunks();
  Task<bool> take_chunks(class ChunkedAnswer& chunks, bool streams);
  Task<void> end_cut_stream(std::string message);

  // prefill_leg.cpp
  [[nodiscard]] LegRequest prefill_request(std::string body, const std::string& rank) const;
  Task<PrefillEnd> prefill(pd::FieldEdits edits, std::string rank);
  Task<Result<LegAnswer>> try_prefill(const std::string& body, const std::string& rank);
  [[nodiscard]] std::optional<pd::KvSource> pulled_from();

  // nixl_legs.cpp, shared_storage_legs.cpp
  Task<void> nixl_legs();
  Task<void> shared_storage_legs();
  Task<bool> try_decode();
  Task<bool> try_streamed(net::ClientResponse& response);
  Task<bool> try_whole(net::ClientResponse& response);

  // concurrent_legs.cpp, meeting.cpp
  Task<void> sglang_legs();
  Task<void> mooncake_legs();
  Task<void> offloading_legs();
  Task<void> moriio_parallel_legs(pd::MoriioPlan plan);
  Task<Result<MooncakeRank>> find_mooncake_rank(std::string pod, std::string bootstrap_host);
  Task<void> both_legs(TwoBodies bodies);
  Task<bool> decode_with(Partner& partner, std::string body, bool commits_late);
  Task<void> go_on_without(Partner& partner, const pd::FieldEdits& prefill_edits);

  // encode_stage.cpp. False: the client has been answered.
  Task<bool> encode();

  LoopContext& context_;
  net::Request request_;
  net::Exchange& exchange_;
  const unsigned rank_;  // of the port that it came to
  RequestPlan plan_;
  const std::string path_;                      // as servers read it: without escapes
  std::string body_;                            // what the engine gets
  std::optional<std::uint32_t> cached_tokens_;  // that the prefill endpoint counted
  std::string decode_rank_;                     // for the rank's header; empty: none
  bool reads_answer_ = false;                   // so that it must not be compressed
  bool chunkable_ = true;
  // What is under way, for a client that leaves.
  net::CancelToken* engine_ = nullptr;
  std::shared_ptr<Leg> leg_;
  std::shared_ptr<Partner> partner_;
  std::shared_ptr<EncodeBatch> encodes_;
  bool left_ = false;
  bool sent_ = false;  // the client has, or is about to have, the head of an answer
};

}  // namespace llmd::sidecar
