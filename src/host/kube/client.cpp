#include "kube/client.h"

#include <fstream>
#include <utility>

#include "telemetry/log.h"

namespace llmd::kube {
namespace {

constexpr seconds kTokenAge{60};
constexpr std::size_t kTokenBytesMax = 64 * 1024;

}  // namespace

Result<std::unique_ptr<Client>> Client::make(Loop& loop, Access access) {
  net::ClientOptions options{
      .connect_timeout = seconds{5}, .response_timeout = seconds{30}, .read_timeout = seconds{540}};
  if (access.server.tls) {
    net::TlsClientOptions tls{.ca = access.ca,
                              .server_name = access.server_name,
                              .certificate = access.certificate,
                              .key = access.key,
                              .insecure = access.insecure};
    LLMD_TRY(options.tls, net::TlsClient::make(std::move(tls)));
  }
  return std::unique_ptr<Client>{new Client{loop, std::move(access), std::move(options)}};
}

Client::Client(Loop& loop, Access access, net::ClientOptions options)
    : loop_{loop}, access_{std::move(access)}, http_{loop, std::move(options)}, token_{access_.token} {}

std::string Client::token() {
  const TimePoint now = SteadyClock::now();
  const bool fresh = token_read_at_ != TimePoint{} && now - token_read_at_ < kTokenAge;
  if (access_.token_file.empty() || fresh) return token_;
  std::ifstream file{access_.token_file, std::ios::binary};
  std::string text(kTokenBytesMax, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  if (text.empty()) {
    log::warn("{} holds no token; the last one is used on", access_.token_file);
  } else {
    token_ = std::move(text);
  }
  token_read_at_ = now;
  return token_;
}

Task<Result<std::unique_ptr<net::ClientResponse>>> Client::get(std::string target, net::CancelToken& token_of_call) {
  net::Headers headers;
  headers.add("Accept", "application/json");
  if (const std::string bearer = token(); !bearer.empty()) headers.add("Authorization", "Bearer " + bearer);
  net::ClientRequest request{.method = "GET", .target = target, .headers = &headers};
  co_return co_await http_.send(access_.server, request, &token_of_call);
}

}  // namespace llmd::kube
