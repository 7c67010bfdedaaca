#pragma once

#include <string_view>

namespace llmd::gateway {

/// The parts of the OpenAPI document in their order: what paths there are, the answers that they name, the schemas of
/// Anthropic's messages and OpenAI's responses, and those of the other paths. Written by hand; routes_test.cpp holds
/// them against the routes.
extern const std::string_view kOpenApiPaths;
extern const std::string_view kOpenApiComponents;
extern const std::string_view kOpenApiNewerApis;
extern const std::string_view kOpenApiSchemas;

}  // namespace llmd::gateway
