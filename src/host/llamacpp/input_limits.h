#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace llmd::llamacpp {

/// Bounds on what a client may hand to llama.cpp's recursive parsers. Beyond them a request is refused before any
/// compute.
inline constexpr std::size_t kSchemaBytesMax = 128U << 10U;
inline constexpr std::size_t kGrammarBytesMax = 512U << 10U;
inline constexpr std::size_t kJsonDepthMax = 64;
inline constexpr std::size_t kJsonMembersMax = 2'000;           // of one schema, all objects together
inline constexpr std::size_t kSchemaNameMax = 1'024;            // bytes of a member's name or a $ref
inline constexpr std::size_t kTypesMax = 7;                     // of one schema: there are no more
inline constexpr std::size_t kSchemaNodesMax = 50'000;          // after lists of types are written out
inline constexpr std::size_t kSchemaWrittenMax = 5'000;         // schemas written while one is lowered
inline constexpr std::size_t kSchemaWorkMax = 2'000'000;        // values and texts copied meanwhile
inline constexpr std::size_t kSchemaLoweringDepthMax = 192;     // with what it refers to written out
inline constexpr std::size_t kSchemaAlternativesMax = 64;       // of one allOf, or of what stands beside a choice
inline constexpr std::size_t kSchemaRuleBytesMax = 32U << 20U;  // of the names of rules
inline constexpr std::size_t kOptionalPropertiesMax = 100;      // of one object; rules grow with the square
inline constexpr std::size_t kGrammarDepthMax = 64;             // nested parentheses
inline constexpr std::size_t kGrammarElementsMax = 400'000;     // after repetitions are written out
inline constexpr std::size_t kGrammarStacksMax = 2'000;         // parses alive at once while text is made

inline constexpr std::int64_t kGrammarStartWorkMax = 25'000'000;  // steps to find what an output may begin with
inline constexpr std::int64_t kGrammarWorkMax = 250'000'000;      // steps of one look at what may come next: seconds

/// What a JSON text looks like from outside, without parsing it.
struct JsonShape {
  std::size_t depth = 0;
  std::size_t members = 0;
};
[[nodiscard]] JsonShape json_shape(std::string_view json) noexcept;

/// Size, depth and members of a schema. Error kInvalidGrammar.
[[nodiscard]] Result<void> check_schema_size(std::string_view json_schema);

/// Size, nesting, encoding and written-out repetitions of a GBNF. Error kInvalidGrammar.
[[nodiscard]] Result<void> check_grammar_size(std::string_view gbnf);

}  // namespace llmd::llamacpp
