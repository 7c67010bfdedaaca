#pragma once

#include <cstddef>
#include <cstdint>

/// What a request may hold. Each bound has an error of its own that names the field; the table in api/README.md lists
/// them.
namespace llmd::openai {

inline constexpr std::size_t kBodyBytesMax =
    16U << 20U;  // JSON of one request; a parser needs about 14 times it for a moment
inline constexpr std::size_t kJsonDepthMax = 64;
inline constexpr std::size_t kStopStringsMax = 16;
inline constexpr std::size_t kStopBytesMax = 1'024;  // of one stop string
inline constexpr std::size_t kLogitBiasMax = 1'024;  // entries
inline constexpr std::size_t kMessagesMax = 4'096;
inline constexpr std::size_t kToolsMax = 128;
inline constexpr std::size_t kPromptsMax = 256;             // of a completions or embeddings request
inline constexpr std::size_t kChoicesMax = 256;             // prompts times n
inline constexpr std::size_t kPromptTokensMax = 4U << 20U;  // token ids of one request, over all prompts
inline constexpr std::int64_t kParallelChoicesMax = 128;    // n
inline constexpr std::int64_t kTopLogprobsMax = 20;
inline constexpr std::int64_t kOutputTokensMax = 16'777'216;
inline constexpr std::size_t kNameBytesMax = 256;  // model, cache_salt, user and other names
inline constexpr std::size_t kToolNameBytesMax = 64;
inline constexpr std::size_t kChoiceStringsMax = 1'024;     // structured_outputs.choice
inline constexpr std::size_t kRemoteBlocksMax = 1U << 20U;  // kv_transfer_params.remote_block_ids

}  // namespace llmd::openai
