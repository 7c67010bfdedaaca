#include "net/fetch.h"

#include "net/client.h"
#include "runtime/loop.h"

namespace llmd::net {
namespace {

Task<Result<Fetched>> get(Client& client, const Address& address, std::string_view target,
                          const FetchOptions& options) {
  Headers headers;
  if (!options.authorization.empty()) headers.add("Authorization", std::string{options.authorization});
  auto response =
      co_await client.send(address, {.method = options.method, .target = target, .headers = &headers}, nullptr);
  if (!response) co_return std::unexpected(std::move(response).error());
  auto body = co_await (*response)->read_all(options.body_bytes_max);
  if (!body) co_return std::unexpected(std::move(body).error());
  co_return Fetched{.status = (*response)->status(), .body = *std::move(body)};
}

}  // namespace

Result<Fetched> fetch(const Address& address, std::string_view target, const FetchOptions& options) {
  Loop loop{"fetch"};
  Result<Fetched> result = fail(ErrorCode::kInternal, "the request was never made");
  {
    Client client{
        loop,
        {.connect_timeout = options.timeout, .response_timeout = options.timeout, .read_timeout = options.timeout}};
    auto run = [&]() -> Task<void> {
      result = co_await get(client, address, target, options);
      loop.stop();
    };
    loop.spawn(run());
    loop.run();
  }
  return result;
}

}  // namespace llmd::net
