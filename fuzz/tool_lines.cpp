// links: llmd_llamacpp
// Tool calls in a model's output, over any bytes cut anywhere: no crash, the same calls and content however the text
// comes, and a call that is JSON has the name and the arguments that a JSON parser reads in it.
#include "llamacpp/tool_lines.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

struct Message {
  std::string content;
  std::vector<std::pair<std::string, std::string>> calls;  // name and arguments
  void add(const llmd::llamacpp::ChatDelta& delta) {
    content += delta.content;
    for (const auto& piece : delta.tool_calls) {
      if (piece.index > calls.size()) std::abort();
      if (piece.index == calls.size()) calls.emplace_back(piece.name, "");
      calls[piece.index].second += piece.arguments;
    }
  }
};

Message read(std::string_view text, std::size_t piece) {
  llmd::llamacpp::ToolLineParser parser;
  Message message;
  for (std::size_t at = 0; at < text.size(); at += piece) message.add(parser.feed(text.substr(at, piece)));
  message.add(parser.finish());
  if (parser.calls() != message.calls.size()) std::abort();
  return message;
}

std::size_t occurrences(std::string_view text, std::string_view wanted) {
  std::size_t count = 0;
  for (auto at = text.find(wanted); at != std::string_view::npos; at = text.find(wanted, at + 1)) ++count;
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  const Message whole = read(text, std::max<std::size_t>(1, text.size()));
  const Message cut = read(text, data[0] % 16 + 1);
  if (whole.content != cut.content || whole.calls != cut.calls) std::abort();

  // The text as the inside of one call. Two members of one name are read differently, and rightly so.
  if (occurrences(text, "\"name\"") != 1 || occurrences(text, "\"arguments\"") != 1) return 0;
  if (text.find('\\') != std::string_view::npos) return 0;  // a name may be spelled with escapes: that is no call
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || json.size() != 2 || !text.starts_with("{\"name\":\"")) return 0;
  if (!json.contains("arguments")) return 0;  // it stands behind a zero byte, where the parser ends
  const Message call = read("<tool_call>" + std::string{text} + "</tool_call>", data[0] % 16 + 1);
  if (json["name"].get<std::string>().empty()) return 0;
  if (call.calls.size() != 1 || call.calls[0].first != json["name"].get<std::string>()) std::abort();
  if (nlohmann::json::parse(call.calls[0].second, nullptr, false) != json["arguments"]) std::abort();
  return 0;
}
