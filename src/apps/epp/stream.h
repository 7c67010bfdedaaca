#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/requests/answer_model_rewriter.h"
#include "api/requests/request_parser.h"
#include "api/requests/usage_reader.h"
#include "apps/epp/refusal.h"
#include "apps/epp/request_body.h"
#include "apps/epp/stream_context.h"
#include "apps/epp/stream_trace.h"
#include "eppmetrics/request_metrics.h"
#include "pool/pool.h"
#include "routing/flow_strand.h"
#include "routing/router.h"
#include "rpc/ext_proc/processing_request.h"
#include "rpc/ext_proc/processing_response.h"
#include "rpc/server.h"
#include "runtime/deadline.h"

namespace llmd::epp {

/// One HTTP request as Envoy tells of it: an ext_proc stream, from the first header to the last byte of the answer
/// (envoy.service.ext_proc.v3.ExternalProcessor/Process; endpoint picker protocol: Gateway API Inference Extension,
/// proposal 004). Request bodies may come full duplex or buffered, answers in any mode. Lives in the call's coroutine.
class Stream {
 public:
  Stream(StreamContext& context, rpc::ServerCall& call);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  [[nodiscard]] Task<rpc::Status> run();

 private:
  using Part = rpc::ext_proc::ProcessingRequest::Part;
  using BodyMode = rpc::ext_proc::ProcessingRequest::BodyMode;
  /// What follows a message.
  using Next = Result<bool>;  // false: the stream is done. An error is a fault of the stream

  [[nodiscard]] Task<Next> take();
  [[nodiscard]] static Task<Next> result_of(Next next);
  // The request.
  [[nodiscard]] Task<Next> take_request_headers();
  [[nodiscard]] Task<Next> take_request_body();
  [[nodiscard]] Task<Next> take_request_trailers();
  [[nodiscard]] Task<Next> pick_for_body();
  /// The model that the request is sent for, if a header says another than the body does.
  [[nodiscard]] std::optional<std::string_view> rewritten_name() const;
  /// The first of the headers that says something.
  [[nodiscard]] std::optional<std::string_view> first_header(std::span<const std::string_view> names) const;
  /// What objectives and rewrites say of the request: its priority and the model that it is sent for.
  void apply_rules(bool has_model);
  [[nodiscard]] Result<api::ParsedRequest> parse_body();
  /// The body as the endpoint gets it: with the name of the model that the request is sent for.
  void rewrite_body(const api::ParsedRequest& parsed);
  /// Where a request that tells nothing of itself goes: any endpoint that serves.
  [[nodiscard]] Task<Next> pick_any();
  [[nodiscard]] std::shared_ptr<const Endpoint> any_endpoint();
  /// What forbids the request to go on; nothing: it may.
  [[nodiscard]] Task<std::optional<Refusal>> wait_for_turn(const routing::RouteRequest& request);
  [[nodiscard]] std::optional<Refusal> judge() const;
  void take_up();
  [[nodiscard]] eppmetrics::RequestLabels labels() const noexcept;
  /// Fills `named_`; as the destination header lists them.
  [[nodiscard]] std::string name_endpoints();
  void forget_request();
  void add_leg_headers(rpc::ext_proc::HeadersReply& reply);
  /// Those that are of this request and not the client's.
  void add_own_headers(rpc::ext_proc::HeadersReply& reply) const;
  void repeat_headers(rpc::ext_proc::HeadersReply& reply) const;
  [[nodiscard]] Task<Next> send_pick();
  [[nodiscard]] Task<Next> refuse(Refusal refusal);
  [[nodiscard]] Task<Next> evict();
  // The answer.
  [[nodiscard]] Task<Next> take_answer_headers();
  [[nodiscard]] Task<Next> take_answer_body();
  [[nodiscard]] Task<Next> take_answer_trailers();
  void note_served(std::string_view address);
  void note_answer_piece(std::string_view piece);
  /// The piece as the client gets it: with the name of the model that it asked for.
  [[nodiscard]] net::H2Bytes for_client(net::H2Bytes piece);
  [[nodiscard]] Task<Next> send_held_answer(bool last, std::string_view metadata);
  /// What goes to the proxy with the last piece: what the configuration has it told.
  [[nodiscard]] std::string last_metadata() const;
  [[nodiscard]] std::optional<std::uint64_t> cached_tokens() const {
    const auto told = usage_ ? usage_->cached_tokens() : std::nullopt;
    return told ? std::optional<std::uint64_t>{*told} : std::nullopt;
  }
  void finish(bool complete);
  void tell_metrics(bool complete, TimePoint now);

  [[nodiscard]] Task<Next> send(rpc::ext_proc::Message message);
  /// A body in pieces, as full duplex mode wants it; `metadata` goes with the last one.
  [[nodiscard]] Task<Next> send_body(bool of_response, net::H2Bytes whole, bool last, std::string_view metadata);
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;

  StreamContext& context_;
  std::shared_ptr<const RequestPlan> plan_;
  rpc::ServerCall& call_;
  std::shared_ptr<const std::string> message_;  // the last one, which `part_` looks into
  rpc::ext_proc::ProcessingRequest part_;
  // The request:
  std::shared_ptr<const std::string> head_message_;
  rpc::ext_proc::ProcessingRequest head_;
  Charge head_charge_;
  std::string request_id_;
  bool made_id_ = false;
  std::string path_;
  RequestBody body_;
  bool body_ended_ = false;
  Deadline body_deadline_;
  bool late_ = false;
  std::optional<std::vector<std::string>> subset_;
  TimePoint received_{};
  StreamTrace trace_;
  BodyMode request_mode_ = BodyMode::kFullDuplex;
  BodyMode answer_mode_ = BodyMode::kFullDuplex;
  // The decision:
  std::string model_;         // that the client named
  std::string target_model_;  // that the endpoint is asked for
  std::string fairness_id_;
  int priority_ = 0;
  std::optional<routing::Work> work_;
  std::shared_ptr<routing::FlowPass> pass_;
  std::optional<routing::Route> route_;  // set once it is decided
  std::optional<eppmetrics::RequestMetrics> told_;
  bool skips_answer_ = false;
  bool rewritten_ = false;  // its answer has another model name than the client expects
  std::vector<std::pair<std::string, std::shared_ptr<const Endpoint>>> named_;  // to the proxy, and which they are
  std::string any_;                                                             // address of pick_any()'s
  std::vector<std::pair<std::string, std::string>> leg_headers_;
  pool::InFlight in_flight_;
  pool::InFlight prefilling_;
  TimePoint sent_at_{};
  bool evicted_ = false;
  // The answer:
  bool answering_ = false;
  bool streaming_ = false;
  RequestBody answer_;       // held until it is whole
  bool passing_on_ = false;  // it is too long to be held
  std::optional<api::UsageReader> usage_;
  std::optional<api::AnswerModelRewriter> rewriter_;
  std::uint64_t answer_bytes_ = 0;
  std::uint32_t pieces_ = 0;
  TimePoint last_piece_{};
  Duration answer_work_{};  // spent on it here
  int status_ = 0;
  bool from_upstream_ = false;
  TimePoint first_byte_{};
  bool finished_ = false;
};

}  // namespace llmd::epp
