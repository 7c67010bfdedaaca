#include "kube/access_review.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

namespace llmd::kube {
namespace {

using nlohmann::json;

constexpr std::string_view kTokenReviews = "/apis/authentication.k8s.io/v1/tokenreviews";
constexpr std::string_view kAccessReviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
constexpr std::size_t kAnswerBytesMax = 1024 * 1024;
constexpr std::size_t kTokenBytesMax = 16 * 1024;
constexpr int kCreated = 201;

std::string dumped(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

/// The object at `name`; an empty one without.
json part(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found != object.end() && found->is_object() ? *found : json::object();
}

bool is_true(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

}  // namespace

Task<Result<AccessReview::Verdict>> AccessReview::may_get(std::string authorization, std::string path) {
  constexpr std::string_view kBearer = "Bearer ";
  if (!authorization.starts_with(kBearer) || authorization.size() > kTokenBytesMax) co_return Verdict::kUnauthenticated;
  std::string token = authorization.substr(kBearer.size());
  const std::string key = token + " " + path;
  const TimePoint now = SteadyClock::now();
  if (const auto found = known_.find(key); found != known_.end() && now < found->second.until)
    co_return found->second.verdict;
  auto verdict = co_await ask(std::move(token), std::move(path));
  if (!verdict) co_return verdict;
  std::erase_if(known_, [now](const auto& each) { return each.second.until <= now; });
  if (known_.size() >= kKnownMax) {
    known_.erase(std::ranges::min_element(known_, {}, [](const auto& each) { return each.second.until; }));
  }
  known_.insert_or_assign(
      key, Known{.verdict = *verdict, .until = now + (*verdict == Verdict::kAllowed ? kAllowedFor : kRefusedFor)});
  co_return verdict;
}

Task<Result<AccessReview::Verdict>> AccessReview::ask(std::string token, std::string path) {
  const json review{{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "TokenReview"}, {"spec", {{"token", token}}}};
  LLMD_CO_TRY(const std::string whose, co_await post(std::string{kTokenReviews}, dumped(review)));
  const json status = part(json::parse(whose, nullptr, /*allow_exceptions=*/false), "status");
  if (!is_true(status, "authenticated")) co_return Verdict::kUnauthenticated;
  const json user = part(status, "user");
  json spec{{"nonResourceAttributes", {{"path", path}, {"verb", "get"}}}};
  if (user.contains("username")) spec["user"] = user["username"];
  for (const char* name : {"groups", "uid", "extra"}) {
    if (user.contains(name)) spec[name] = user[name];
  }
  const json access{{"apiVersion", "authorization.k8s.io/v1"}, {"kind", "SubjectAccessReview"}, {"spec", spec}};
  LLMD_CO_TRY(const std::string allowed, co_await post(std::string{kAccessReviews}, dumped(access)));
  const json verdict = part(json::parse(allowed, nullptr, /*allow_exceptions=*/false), "status");
  co_return is_true(verdict, "allowed") ? Verdict::kAllowed : Verdict::kForbidden;
}

Task<Result<std::string>> AccessReview::post(std::string target, std::string body) {
  net::CancelToken token;
  auto answer = co_await client_.send("POST", target, std::move(body), token);
  if (!answer) co_return std::unexpected(std::move(answer).error());
  auto text = co_await (*answer)->read_all(kAnswerBytesMax);
  if (!text) co_return std::unexpected(std::move(text).error());
  if ((*answer)->status() == kCreated) co_return *std::move(text);
  co_return fail(ErrorCode::kUpstreamFailed,
                 fmt::format("POST {} was answered {}: {}", target, (*answer)->status(), refusal_text(*text)),
                 "the picker's account must be allowed to create tokenreviews and subjectaccessreviews");
}

}  // namespace llmd::kube
