// links: llmd_api
// The model's name in answers, and token counts: the first byte chooses the form, the next two where the answer is cut.
// A cut changes nothing; JSON stays JSON, with another name at one of three places and nothing else changed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "api/requests/answer_model_rewriter.h"
#include "api/requests/usage_reader.h"

namespace {

using Json = nlohmann::json;
using Rewriter = llmd::api::AnswerModelRewriter;

void require(bool holds) {
  if (!holds) std::abort();
}

bool is_named(const Json& object) { return object.is_object() && object.value("model", Json{}).is_string(); }

/// Keys that are written with escapes are not known, so that documents with any are left aside. Of a key that stands
/// twice the last counts here and the first is replaced: then nothing seems to be.
void check_json(const std::string& before, const std::string& after) {
  const Json was = Json::parse(before, nullptr, false);
  if (!was.is_object() || before.find('\\') != std::string::npos) return;
  const Json is = Json::parse(after, nullptr, false);
  if (is == was) return;
  bool one_renamed = false;
  for (const char* place : {"", "/response", "/message"}) {
    Json renamed = was;
    const Json::json_pointer pointer{place};
    if (!renamed.contains(pointer) || !is_named(renamed[pointer])) continue;
    renamed[pointer]["model"] = "n\"";
    one_renamed = one_renamed || is == renamed;
  }
  require(one_renamed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::string answer{reinterpret_cast<const char*>(data) + 3, size - 3};
  const std::size_t first = answer.empty() ? 0 : data[1] % (answer.size() + 1);
  const std::size_t second = first + data[2] % (answer.size() - first + 1);
  const std::string_view view = answer;
  const auto form = (data[0] & 1) != 0 ? Rewriter::Form::kEvents : Rewriter::Form::kJson;
  std::string scratch;
  Rewriter whole{form, "n\""};
  const std::string expected{whole.rewrite(view, scratch)};
  Rewriter cut{form, "n\""};
  std::string pieces;
  for (const std::string_view piece :
       {view.substr(0, first), view.substr(first, second - first), view.substr(second)}) {
    pieces += cut.rewrite(piece, scratch);
  }
  require(pieces == expected);
  if (form == Rewriter::Form::kJson) check_json(answer, expected);

  const auto answers = static_cast<llmd::api::AnswerForm>(data[0] / 2 % 5);
  llmd::api::UsageReader at_once{answers};
  at_once.read(view);
  llmd::api::UsageReader in_pieces{answers};
  in_pieces.read(view.substr(0, first));
  in_pieces.read(view.substr(first, second - first));
  in_pieces.read(view.substr(second));
  require(at_once.usage() == in_pieces.usage());
  (void)llmd::api::find_usage(answers, view);
  return 0;
}
