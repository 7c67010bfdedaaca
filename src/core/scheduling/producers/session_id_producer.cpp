#include "scheduling/producers/session_id_producer.h"

#include <array>

#include "scheduling/header_name.h"

namespace llmd::scheduling {
namespace {

constexpr std::string_view kCookieHeader = "cookie";
constexpr std::array kParameters{
    ParameterSpec{.name = "headerName",
                  .type = ParameterType::kText,
                  .help = "the request header that holds the session's id; or set cookieName"},
    ParameterSpec{.name = "cookieName",
                  .type = ParameterType::kText,
                  .help = "the cookie that holds the session's id; or set headerName"},
};

/// The value of the first cookie of the name in a Cookie header.
std::string_view cookie_value(std::string_view header, std::string_view name) noexcept {
  while (!header.empty()) {
    const std::size_t end = header.find(';');
    const std::string_view pair = without_blanks(header.substr(0, end));
    header = end == std::string_view::npos ? std::string_view{} : header.substr(end + 1);
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) return pair.substr(equals + 1);
  }
  return {};
}

}  // namespace

constinit const PluginSpec SessionIdProducer::kSpec{
    .type = "session-id-producer",
    .kind = PluginKind::kDataProducer,
    .help = "reads the session's id from a request header or a cookie, for session affinity",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      LLMD_TRY_VOID(read(parameters));
      return PluginObjects{};  // its readers look up what it is told
    },
    .inputs = "a request header",
};

Result<SessionIdProducer> SessionIdProducer::read(const ParameterReader& parameters) {
  std::string header = header_name(parameters.text("headerName"));
  std::string cookie = trimmed(parameters.text("cookieName"));
  if (header.empty() == cookie.empty()) {
    return fail(ErrorCode::kConfigInvalid,
                header.empty() ? "session-id-producer has neither headerName nor cookieName"
                               : "session-id-producer has both headerName and cookieName",
                "set exactly one of them");
  }
  if (header.empty()) header = kCookieHeader;
  return SessionIdProducer{.header = std::move(header), .cookie = std::move(cookie)};
}

std::string_view SessionIdProducer::session_id(const RequestFacts& request) const noexcept {
  const std::string_view value = request.header(header);
  return without_blanks(cookie.empty() ? value : cookie_value(value, cookie));
}

}  // namespace llmd::scheduling
