#pragma once

#include <string_view>

namespace llmd::gateway {

/// The two halves of the OpenAPI document: what paths there are, and the schemas and answers that they name. Written by
/// hand; openapi_test.cpp holds them against the routes.
extern const std::string_view kOpenApiPaths;
extern const std::string_view kOpenApiComponents;

}  // namespace llmd::gateway
