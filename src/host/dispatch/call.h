#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/conversion/chat_conversion.h"
#include "api/conversion/chat_stream_converter.h"
#include "api/openai/answer_usage.h"
#include "api/requests/answer_model_rewriter.h"
#include "base/rng.h"
#include "dispatch/dispatcher.h"
#include "dispatch/spoken_apis.h"
#include "dispatch/sse_relay.h"
#include "pd/field_edit.h"

namespace llmd::dispatch {

class PrefillBeside;

/// What all calls of one loop share.
struct DispatchContext {
  DispatchContext(Loop& on, pool::Pool& of, routing::Router& with, MetricsRegistry& metrics, DispatchOptions how);

  /// The parsed form of an endpoint's URL, remembered. Error kAddressInvalid.
  [[nodiscard]] Result<net::Address> address_of(const std::string& url);

  Loop& loop;
  pool::Pool& pool;
  routing::Router& router;
  const DispatchOptions options;
  net::Client client;
  Rng rng;  // rooms in which legs meet
  std::unordered_map<std::string, net::Address> addresses;
  SpokenApis apis;
  Counter& retries;
  Counter& connect_failures;
  Counter& cut_streams;
  Counter& timeouts;
  Counter& cancelled;
  Counter& prefill_legs;
  Counter& prefill_failures;
};

/// "Not now" answers: another endpoint may say otherwise.
[[nodiscard]] bool is_refusal(int status) noexcept;

/// One request on its way: attempts, relay, outcome. Lives in the coroutine that carries it out.
class Call {
 public:
  Call(DispatchContext& context, DispatchRequest& request, net::Exchange& exchange)
      : context_{context}, request_{request}, exchange_{exchange}, dialect_{api::dialect_of(request.target)} {}

  [[nodiscard]] Task<Outcome> run();

 private:
  /// What an attempt left behind.
  enum class Attempt : std::uint8_t {
    kOver,   // the client has its answer, or has left, or can get no other
    kRetry,  // nothing was sent to the client, and another endpoint may do better
  };
  using EndpointPtr = std::shared_ptr<const Endpoint>;

  [[nodiscard]] std::vector<EndpointPtr> candidates() const;
  /// The prefill leg, if the decision has one: afterwards `body_` is the decode leg's. Whatever goes wrong there
  /// degrades to a decode endpoint that computes the prompt itself, but a request that is wrong: see `verdict_`.
  Task<void> prefill();
  Task<Result<std::string>> ask_prefill(const Endpoint& endpoint, const pd::FieldEdits& edits);
  /// Sends the prefill leg, and leaves the decode leg's body, of engines that meet by themselves.
  [[nodiscard]] Result<void> prefill_beside(const Endpoint& endpoint);
  /// Begins it anew, in another room: the sender in this one may have met a decode endpoint that then failed.
  [[nodiscard]] Result<void> meet_anew();
  /// The prefill leg beside has failed before the client was sent anything: the decode endpoint waits in vain.
  [[nodiscard]] bool waits_in_vain() const;
  void end_beside();
  using Response = Result<std::unique_ptr<net::ClientResponse>>;
  /// Makes `body_` a chat completion. False: the request is wrong, see `verdict_`.
  [[nodiscard]] bool convert();
  [[nodiscard]] std::string_view target() const noexcept;
  [[nodiscard]] api::AnswerFacts answer_facts() const;
  [[nodiscard]] Task<Response> send(const net::Address& address);
  /// Sends the request as it is to an endpoint that speaks the client's API, else as a chat completion. The error does
  /// not count where there is a verdict.
  [[nodiscard]] Task<Response> ask(const Endpoint& endpoint, const net::Address& address);
  Task<Attempt> attempt(const EndpointPtr& endpoint);
  Task<Attempt> relay_answer(net::ClientResponse& response, pool::InFlight& in_flight);
  Task<Attempt> relay_stream(net::ClientResponse& response, pool::InFlight& in_flight);
  Task<Attempt> relay_whole(net::ClientResponse& response, pool::InFlight& in_flight);
  Task<Attempt> pass_on_large(net::ClientResponse& response, std::string head_of_body);
  Task<Attempt> keep_refusal(net::ClientResponse& response);
  Task<void> end_cut_stream(api::ChatStreamConverter* converter);
  /// A whole answer of the endpoint's as the client gets it.
  [[nodiscard]] net::Response client_answer(int status, net::Headers headers, std::string body);
  Task<void> answer(net::Response whole);
  Task<void> answer_failure();
  /// Notes why the endpoint did not answer as it should, unless it was the client that ended the call.
  void blame(Error error);
  void tell_served(bool server_error);
  /// To the endpoint's live counters, and to who waits for that.
  [[nodiscard]] pool::InFlight count(const Endpoint& endpoint, pool::LoadTokens tokens);
  void first_byte(pool::InFlight& in_flight);
  /// Where a request for the endpoint is sent; sets the header that names the rank, if ranks share a port.
  [[nodiscard]] Result<net::Address> connect_to(const Endpoint& endpoint);
  /// The headers of an answer as the client gets them, with those that plugins add.
  [[nodiscard]] net::Headers head_of(const net::ClientResponse& response) const;
  /// A piece of an answer with the model's name as the client knows it.
  [[nodiscard]] std::string_view renamed(std::string_view piece);
  /// From the head of an answer on, if the name in it is another.
  void rename_in(const net::ClientResponse& response);
  void note_tokens(const SseRelay& relay);
  void note_usage(const openai::AnswerUsage& usage);
  /// The write to the client failed: it left, or does not read.
  void client_left();

  DispatchContext& context_;
  DispatchRequest& request_;
  net::Exchange& exchange_;
  net::CancelToken cancel_;
  net::CancelToken* attempt_cancel_ = nullptr;  // of the attempt under way
  std::shared_ptr<PrefillBeside> beside_;
  Outcome outcome_;
  const api::Dialect dialect_;                      // the client's
  std::optional<api::ConvertedRequest> converted_;  // made once it is needed
  bool converts_ = false;                           // the attempt under way
  std::string split_body_;                          // the decode leg's, if it differs from the request's
  std::string_view body_;                           // what attempts send
  TimePoint started_{};
  EndpointPtr endpoint_;                                // of the attempt under way
  std::optional<Error> error_;                          // of the last attempt
  std::optional<api::AnswerModelRewriter> rewriter_{};  // of the answer under way
  std::string renamed_;                                 // its scratch
  bool had_no_room_ = false;                            // one of the endpoints said so
  std::optional<net::Response> refusal_;                // the last endpoint's own "not now"
  pool::InFlight reserved_;                             // at the decode endpoint, while another computes the prompt
  bool remembered_ = false;                             // as it was decided, before its first attempt
  std::optional<net::Response> verdict_;                // that the request is wrong: a prefill endpoint's, or ours
  bool left_ = false;
  bool timed_out_ = false;
  bool revoked_ = false;
  bool sent_ = false;  // the client has, or is about to have, the head of an answer
};

}  // namespace llmd::dispatch
