#include "llamacpp/model_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

namespace llmd::llamacpp {
namespace {

namespace fs = std::filesystem;

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// "Q4_1", "IQ2_XS", "F16", "BF16": what stands behind the last dot or dash of a GGUF's name.
bool is_quantisation(std::string_view text) {
  if (text == "F32" || text == "F16" || text == "BF16") return true;
  if (text.starts_with('I')) text.remove_prefix(1);
  return text.size() >= 2 && text[0] == 'Q' && text[1] >= '1' && text[1] <= '8';
}

/// Without folder, cache digits and extension.
std::string stem_of(std::string_view path) {
  std::string stem = fs::path{path}.stem().string();
  constexpr std::size_t kDigits = 12;
  if (stem.size() > kDigits + 1 && stem[kDigits] == '-' && is_hex(std::string_view{stem}.substr(0, kDigits))) {
    stem.erase(0, kDigits + 1);
  }
  return stem;
}

}  // namespace

std::string model_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && cache[0] == '/') {
    return fmt::format("{}/llmd/models", cache);
  }
  const char* home = std::getenv("HOME");
  return fmt::format("{}/.cache/llmd/models", home != nullptr ? home : "");
}

std::string model_name(std::string_view path) {
  std::string stem = stem_of(path);
  const std::size_t mark = stem.find_last_of(".-");
  if (mark != std::string::npos && mark > 0 && is_quantisation(std::string_view{stem}.substr(mark + 1)))
    stem.resize(mark);
  return stem;
}

Result<ModelFile> find_model(std::string_view wanted, const std::string& folder) {
  std::error_code error;
  if (!wanted.empty() && fs::is_regular_file(wanted, error)) {
    return ModelFile{.path = fs::absolute(wanted, error).string(), .name = model_name(wanted)};
  }
  if (wanted.find('/') != std::string_view::npos || wanted.ends_with(".gguf")) {
    return fail(ErrorCode::kFileNotFound, fmt::format("there is no model file {}", wanted),
                "--model takes a GGUF file, or the name of one that was fetched");
  }
  const std::string name{wanted.empty() ? kDefaultModel : wanted};
  std::vector<std::string> paths;
  for (const fs::directory_entry& entry : fs::directory_iterator{folder, error}) {
    const std::string path = entry.path().string();
    if (path.ends_with(".gguf") && (model_name(path) == name || stem_of(path) == name)) paths.push_back(path);
  }
  if (paths.empty()) {
    return fail(ErrorCode::kFileNotFound, fmt::format("there is no model {} in {}", name, folder),
                wanted.empty() ? "tools/fetch_model.sh fetches it (make serve does too), or give --model FILE.gguf"
                               : "give --model FILE.gguf");
  }
  std::sort(paths.begin(), paths.end());
  return ModelFile{.path = paths.front(), .name = model_name(paths.front())};
}

}  // namespace llmd::llamacpp
