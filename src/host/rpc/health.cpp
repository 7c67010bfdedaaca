#include "rpc/health.h"

#include <algorithm>
#include <utility>

#include "base/protobuf_wire.h"

namespace llmd::rpc {
namespace {

constexpr std::uint64_t kServing = 1;
constexpr std::uint64_t kNotServing = 2;
constexpr std::uint64_t kServiceUnknown = 3;

std::string status_message(std::uint64_t status) { return WireWriter{}.varint(1, status).text(); }
std::string verdict(bool serving) { return status_message(serving ? kServing : kNotServing); }

Result<std::string> service_of(std::string_view request) {
  WireReader reader{request};
  WireReader::Field field;
  std::string service;
  while (reader.next(field)) {
    if (field.number == 1 && field.type == WireReader::Type::kBytes) service = field.bytes;
  }
  LLMD_TRY_VOID(reader.whole());
  return service;
}

Task<Status> answer(ServerCall& call, std::string message) {
  std::vector<net::H2Bytes> pieces;
  pieces.push_back(net::own(std::move(message)));
  const auto sent = co_await call.write(std::move(pieces));
  co_return sent ? Status{} : status_of(sent.error());
}

Task<Status> check(const HealthService& service, ServerCall& call) {
  const auto request = co_await call.read();
  if (!request) co_return status_of(request.error());
  if (!*request) co_return Status{.code = StatusCode::kInvalidArgument, .message = "no request came"};
  const auto name = service_of(**request);
  if (!name) co_return status_of(name.error());
  if (std::ranges::find(service.services, *name) == service.services.end())
    co_return co_await answer(call, status_message(kServiceUnknown));
  co_return co_await answer(call, verdict(service.is_serving(*name)));
}

Task<Status> list(const HealthService& service, ServerCall& call) {
  WireWriter response;  // map<string, HealthCheckResponse> statuses = 1
  for (const std::string& name : service.services) {
    const std::string entry = WireWriter{}.bytes(1, name).bytes(2, verdict(service.is_serving(name))).text();
    response.bytes(1, entry);
  }
  co_return co_await answer(call, std::move(response).text());
}

}  // namespace

std::map<std::string, Method, std::less<>> HealthService::methods() const {
  return {{"/grpc.health.v1.Health/Check", [service = *this](ServerCall& call) { return check(service, call); }},
          {"/grpc.health.v1.Health/List", [service = *this](ServerCall& call) { return list(service, call); }}};
}

}  // namespace llmd::rpc
