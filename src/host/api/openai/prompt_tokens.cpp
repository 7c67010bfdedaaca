#include "api/openai/prompt_tokens.h"

#include <bit>
#include <cstddef>
#include <cstring>

#include "api/openai/base64.h"

namespace llmd::openai {
namespace {

static_assert(std::endian::native == std::endian::little, "the wire is little-endian");

constexpr std::size_t kHeadBytes = sizeof(std::uint64_t) + sizeof(std::uint32_t);

/// Takes `size` bytes off the front. Pre: they are there.
void take(std::span<const std::byte>& rest, void* to, std::size_t size) {
  if (size > 0) std::memcpy(to, rest.data(), size);
  rest = rest.subspan(size);
}

}  // namespace

std::string encode_prompt_tokens(std::span<const PromptTokens> prompts) {
  std::size_t size = 0;
  for (const PromptTokens& prompt : prompts) size += kHeadBytes + prompt.tokens.size() * sizeof(TokenId);
  std::vector<std::byte> bytes(size);
  std::byte* at = bytes.data();
  const auto put = [&at](const void* from, std::size_t count) {
    if (count > 0) std::memcpy(at, from, count);
    at += count;
  };
  for (const PromptTokens& prompt : prompts) {
    const auto count = static_cast<std::uint32_t>(prompt.tokens.size());
    put(&prompt.text_hash, sizeof prompt.text_hash);
    put(&count, sizeof count);
    put(prompt.tokens.data(), count * sizeof(TokenId));
  }
  return encode_base64(bytes);
}

std::vector<PromptTokens> decode_prompt_tokens(std::string_view field) {
  const auto bytes = decode_base64(field);
  if (!bytes) return {};
  std::span<const std::byte> rest = *bytes;
  std::vector<PromptTokens> prompts;
  while (!rest.empty()) {
    if (rest.size() < kHeadBytes) return {};
    PromptTokens& prompt = prompts.emplace_back();
    std::uint32_t count = 0;
    take(rest, &prompt.text_hash, sizeof prompt.text_hash);
    take(rest, &count, sizeof count);
    if (count > rest.size() / sizeof(TokenId)) return {};
    prompt.tokens.resize(count);
    take(rest, prompt.tokens.data(), count * sizeof(TokenId));
  }
  return prompts;
}

}  // namespace llmd::openai
