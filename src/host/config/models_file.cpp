#include "config/models_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "config/entry_name.h"
#include "config/object_decoder.h"
#include "config/yaml_tree.h"

namespace llmd::config {
namespace {

constexpr std::size_t kModelBytesMax = 4'096;
constexpr std::int64_t kThreadsMax = 1'024;

/// One entry of the file.
class Decoder {
 public:
  explicit Decoder(std::string_view source) : source_{source}, decode_{source} {}

  Result<std::vector<ModelEntry>> file(const YamlNode& root);

 private:
  Result<void> entry(const YamlNode& node);
  Result<void> model(const YamlNode& node, std::string& into) const;

  std::string_view source_;
  ObjectDecoder decode_;
  std::vector<ModelEntry> models_;
};

/// A name of a fetched model has no folder and no ending.
Result<void> Decoder::model(const YamlNode& node, std::string& into) const {
  LLMD_TRY(into, decode_.text(node, "model"));
  if (into.empty() || into.size() > kModelBytesMax || into.find('\0') != std::string::npos)
    return decode_.fail_at(node, "model is neither a file nor a name");
  if (into.find('/') != std::string::npos || into.ends_with(".gguf"))
    into = (std::filesystem::path{source_}.parent_path() / into).lexically_normal().string();
  return {};
}

Result<void> Decoder::entry(const YamlNode& node) {
  if (models_.size() >= kModelsMax) return decode_.fail_at(node, fmt::format("more than {} models", kModelsMax));
  ModelEntry made;
  made.line = node.line;
  std::string topology;
  const auto count = [&](const YamlNode& value, std::string_view what, std::int64_t most,
                         const auto& take) -> Result<void> {
    LLMD_TRY(const std::int64_t given, decode_.integer(value, what));
    if (given < 1 || given > most)
      return decode_.fail_at(value, fmt::format("{} is {}; expected 1 to {}", what, given, most));
    take(static_cast<std::uint32_t>(given));
    return {};
  };
  const FieldDecoder fields[] = {
      {"name",
       [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(made.name, entry_name(decode_, value, "name"));
         return {};
       }},
      {"model", [&](const YamlNode& value) { return model(value, made.model); }},
      {"workers",
       [&](const YamlNode& value) {
         return count(value, "workers", 64, [&](auto n) { made.topology = fmt::format("unified:{}", n); });
       }},
      {"topology",
       [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(topology, decode_.text(value, "topology"));
         return {};
       }},
      {"threads",
       [&](const YamlNode& value) { return count(value, "threads", kThreadsMax, [&](auto n) { made.threads = n; }); }}};
  LLMD_TRY_VOID(decode_.object(node, "a model", fields));
  if (made.name.empty()) return decode_.fail_at(node, "a model has no name");
  if (std::ranges::find(models_, made.name, &ModelEntry::name) != models_.end())
    return decode_.fail_at(node, fmt::format("there are two models \"{}\"", made.name));
  if (!topology.empty()) {
    if (made.topology != ModelEntry{}.topology) return decode_.fail_at(node, "workers and topology say the same");
    made.topology = std::move(topology);
  }
  if (made.model.empty()) made.model = made.name;
  models_.push_back(std::move(made));
  return {};
}

Result<std::vector<ModelEntry>> Decoder::file(const YamlNode& root) {
  const FieldDecoder fields[] = {{"models", [&](const YamlNode& value) {
                                    return decode_.sequence(value, "models",
                                                            [&](const YamlNode& item) { return entry(item); });
                                  }}};
  LLMD_TRY_VOID(decode_.object(root, "a file of models", fields));
  if (models_.empty()) return decode_.fail_at(root, "there are no models", "models: [{name: a, model: FILE}]");
  return std::move(models_);
}

}  // namespace

Result<std::vector<ModelEntry>> parse_models_file(std::string_view text, std::string_view source) {
  LLMD_TRY(const YamlNode root, parse_yaml(text, source));
  return Decoder{source}.file(root);
}

}  // namespace llmd::config
