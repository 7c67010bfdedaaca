#include "apps/gateway/openapi.h"

#include <string>

#include "apps/gateway/openapi_parts.h"

namespace llmd::gateway {

std::string_view openapi_json() noexcept {
  static const std::string document =
      std::string{kOpenApiPaths}.append(kOpenApiComponents).append(kOpenApiNewerApis).append(kOpenApiSchemas);
  return document;
}

}  // namespace llmd::gateway
