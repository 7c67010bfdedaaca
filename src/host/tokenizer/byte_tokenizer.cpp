#include "tokenizer/byte_tokenizer.h"

#include <algorithm>

#include "api/openai/plain_chat.h"

namespace llmd {
namespace {

// An id, from its lowest bit: the bytes, the first one lowest (4 of 7 bits, or 3 of 8), their number less one (2 bits),
// and which of the two it is.
constexpr TokenId kWide = TokenId{1} << 30;
constexpr std::size_t kAsciiMax = 4;
constexpr std::size_t kWideMax = 3;
constexpr unsigned kAsciiCountShift = 28;
constexpr unsigned kWideCountShift = 24;

bool is_ascii(char byte) noexcept { return static_cast<unsigned char>(byte) < 0x80; }

/// How many bytes of `text` its first token takes. Pre: not empty.
std::size_t first_token_bytes(std::string_view text) noexcept {
  const bool ascii = is_ascii(text.front());
  const std::size_t most = std::min(text.size(), ascii ? kAsciiMax : kWideMax);
  std::size_t bytes = 1;
  while (bytes < most && is_ascii(text[bytes]) == ascii && text[bytes - 1] != '\n') ++bytes;
  return bytes;
}

TokenId id_of(std::string_view bytes) noexcept {
  const bool ascii = is_ascii(bytes.front());
  std::uint32_t id = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    id |= std::uint32_t{static_cast<unsigned char>(bytes[i])} << (i * (ascii ? 7 : 8));
  id |= static_cast<std::uint32_t>(bytes.size() - 1) << (ascii ? kAsciiCountShift : kWideCountShift);
  return static_cast<TokenId>(id) | (ascii ? 0 : kWide);
}

/// Empty: no token.
std::string bytes_of(TokenId token) {
  if (token < 0) return {};
  const bool ascii = token < kWide;
  const auto id = static_cast<std::uint32_t>(token);
  const std::size_t count = ((id >> (ascii ? kAsciiCountShift : kWideCountShift)) & 3U) + 1;
  if (count > (ascii ? kAsciiMax : kWideMax)) return {};
  std::string bytes;
  for (std::size_t i = 0; i < count; ++i)
    bytes += static_cast<char>((id >> (i * (ascii ? 7 : 8))) & (ascii ? 0x7fU : 0xffU));
  // What encode() would not make is no token: bytes where none is counted, or a cut in another place.
  if (first_token_bytes(bytes) != bytes.size() || id_of(bytes) != token) return {};
  return bytes;
}

class ByteTokenizer final : public Tokenizer {
 public:
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text, llamacpp::EncodeOptions /*options*/) const override {
    std::vector<TokenId> tokens;
    tokens.reserve(text.size() / kAsciiMax + 1);
    while (!text.empty()) {
      const std::size_t bytes = first_token_bytes(text);
      tokens.push_back(id_of(text.substr(0, bytes)));
      text.remove_prefix(bytes);
    }
    return tokens;
  }
  [[nodiscard]] std::string piece(TokenId token, bool /*special*/) const override { return bytes_of(token); }
  [[nodiscard]] std::string decode(const std::vector<TokenId>& tokens, bool /*special*/) const override {
    std::string text;
    for (const TokenId token : tokens) text += bytes_of(token);
    return text;
  }
  [[nodiscard]] TokenId size() const noexcept override {
    return kWide + (static_cast<TokenId>(kWideMax) << kWideCountShift);
  }
  [[nodiscard]] bool is_valid(TokenId token) const noexcept override { return !bytes_of(token).empty(); }
  [[nodiscard]] std::size_t token_bytes_max() const override { return kAsciiMax; }
  [[nodiscard]] std::uint64_t vocabulary() const noexcept override { return 4; }
  [[nodiscard]] bool has_infill() const noexcept override { return false; }
  [[nodiscard]] std::vector<TokenId> infill(std::string_view /*prefix*/, std::string_view /*suffix*/) const override {
    return {};
  }
  [[nodiscard]] Result<llamacpp::RenderedChat> render(const llamacpp::ChatRequest& request) const override {
    using Choice = llamacpp::ChatRequest::ToolChoice;
    const bool forced = request.tool_choice == Choice::kRequired || request.tool_choice == Choice::kFunction;
    if (forced || !request.json_schema.empty() || !request.grammar.empty()) {
      return fail(ErrorCode::kUnsupported, "a simulated engine cannot be made to answer in a given form",
                  "leave out response_format, grammars and tool_choice");
    }
    llamacpp::RenderedChat rendered;
    if (!request.tools_json.empty()) rendered.prompt = request.tools_json + '\n';
    LLMD_TRY(const std::string messages, openai::plain_chat(request.messages_json));
    rendered.prompt += messages;
    if (request.add_generation_prompt) rendered.prompt += "assistant\n";
    return rendered;
  }
};

}  // namespace

std::shared_ptr<const Tokenizer> make_byte_tokenizer() { return std::make_shared<const ByteTokenizer>(); }

}  // namespace llmd
