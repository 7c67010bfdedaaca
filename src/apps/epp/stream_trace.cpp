#include "apps/epp/stream_trace.h"

#include <fmt/format.h>

#include <utility>

#include "base/utf8.h"

namespace llmd::epp {
namespace {

constexpr int kServerError = 500;
constexpr std::size_t kTextBytesMax = 256;  // of what clients name

/// As protobuf's strings must be.
std::string told(std::string_view text) { return well_formed_beginning(text, kTextBytesMax); }

}  // namespace

void StreamTrace::begin(tracing::Tracer* tracer, std::string_view traceparent, std::string_view tracestate,
                        Rng& chance) {
  tracer_ = tracer;
  if (tracer_ == nullptr) return;
  const auto parent = parse_trace_context(traceparent, tracestate);
  context_ = tracer_->begin(parent, chance);
  if (parent) parent_ = parent->span;
  field_ = llmd::traceparent(context_);
  if (sampled()) begun_ = std::chrono::system_clock::now();
}

void StreamTrace::begin_decision() {
  if (!sampled()) return;
  decision_.emplace(Span{.name = "gateway.request_orchestration",
                         .kind = Span::Kind::kServer,
                         .context = {},
                         .parent = context_.span,
                         .begin = std::chrono::system_clock::now()});
}

void StreamTrace::end_decision(std::string_view target_model, std::int32_t priority) {
  if (!decision_) return;
  decision_->end = std::chrono::system_clock::now();
  decision_->attributes = {{"target_model", told(target_model)}, {"request_prio", std::int64_t{priority}}};
}

void StreamTrace::fail(std::string_view why) {
  if (!sampled()) return;
  failure_ = told(why);
  if (!decision_) return;
  decision_->end = std::chrono::system_clock::now();
  decision_->failed = true;
  decision_->message = failure_;
}

void StreamTrace::end(const End& end, Rng& chance) {
  if (!sampled()) return;
  if (decision_) {
    decision_->context = tracing::Tracer::below(context_, chance);
    tracer_->add(*std::move(decision_));
  }
  Span span{.name = "gateway.request",
            .kind = Span::Kind::kServer,
            .context = context_,
            .parent = parent_,
            .begin = begun_,
            .end = std::chrono::system_clock::now()};
  span.attributes.emplace_back("request_id", told(end.request_id));
  if (!end.target_model.empty()) span.attributes.emplace_back("target_model", told(end.target_model));
  if (!end.endpoint.empty()) span.attributes.emplace_back("endpoint", told(end.endpoint));
  if (end.status != 0) span.attributes.emplace_back("http.response.status_code", std::int64_t{end.status});
  span.failed = !failure_.empty() || end.status >= kServerError;
  span.message = failure_.empty() && span.failed ? fmt::format("status {}", end.status) : failure_;
  tracer_->add(std::move(span));
  tracer_ = nullptr;
}

}  // namespace llmd::epp
