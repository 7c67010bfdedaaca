#include "api/openai/routing_fields.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <memory>

#include "api/openai/json_writer.h"
#include "api/openai/prompt_tokens.h"

namespace llmd::openai {
namespace {

namespace od = simdjson::ondemand;

constexpr std::size_t kKeptParserBytes = 1U
                                         << 20U;  // a parser needs about 6 times its capacity, for as long as it lives

constexpr std::string_view kUsageOptions = R"({"include_usage":true})";

std::unexpected<Error> bad_json(std::string_view why) {
  return fail(ErrorCode::kInvalidJson, fmt::format("the request body is not valid JSON: {}", why));
}

/// Where each top-level field begins, to cut fields out with the right comma.
struct FieldPlaces {
  struct Place {
    std::size_t begin = 0;
    bool steering = false;
  };
  std::vector<Place> places;
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n' || text.back() == '\r' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

std::uint32_t to_u32(std::int64_t value) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(value, 0, std::numeric_limits<std::uint32_t>::max()));
}

/// Reads one document. Views point into the body.
class Reader {
 public:
  Reader(std::string_view body, RoutingFields& out) : body_{body}, out_{out} {}

  simdjson::error_code read(od::document& document) {
    od::object object;
    if (const auto error = document.get_object().get(object)) return error;
    for (auto item : object) {
      od::field field;
      if (const auto error = std::move(item).get(field)) return error;
      const std::size_t begin = static_cast<std::size_t>(field.key().raw() - body_.data()) - 1;
      std::string_view key;
      if (const auto error = field.unescaped_key().get(key)) return error;
      bool steering = is_steering_field(key);
      if (const auto error = read_field(key, field.value(), steering)) return error;
      places_.places.push_back({.begin = begin, .steering = steering});
    }
    const char* trailing = nullptr;  // an error here means that nothing follows the object
    if (document.current_location().get(trailing) == simdjson::SUCCESS) return simdjson::TRAILING_CONTENT;
    cut_steering();
    return simdjson::SUCCESS;
  }

  [[nodiscard]] bool model_has_wrong_type() const noexcept { return model_has_wrong_type_; }

 private:
  simdjson::error_code read_field(std::string_view key, od::value value, bool& steering) {
    if (key == "model") return read_model(value);
    if (key == "messages" || key == "prompt" || key == "input") return read_prompt(value);
    if (key == "tools")
      return has_type(value, od::json_type::array) ? raw_array(value).get(out_.tools) : simdjson::SUCCESS;
    if (key == "max_tokens" || key == "max_completion_tokens") {
      if (std::int64_t count = 0; is_number(value) && value.get_int64().get(count) == simdjson::SUCCESS) {
        out_.output_tokens_max = to_u32(count);
      }
    } else if (key == "priority") {
      if (std::int64_t priority = 0; is_number(value) && value.get_int64().get(priority) == simdjson::SUCCESS) {
        constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max();
        // On the wire, as in vLLM, lower is earlier.
        out_.priority = -static_cast<std::int32_t>(std::clamp<std::int64_t>(priority, -kMax, kMax));
      }
    } else if (key == "stream") {
      return read_flag(value, out_.stream);
    } else if (key == "stream_options") {
      return read_stream_options(value);
    } else if (key == "cache_salt") {
      return read_salt(value);
    } else if (key == "vllm_xargs") {
      return read_extra_arguments(value, steering);
    }
    return simdjson::SUCCESS;
  }

  /// False also for a value that is none: whatever comes next meets the error. (Comparing the result itself would
  /// throw.)
  static bool has_type(od::value& value, od::json_type wanted) {
    od::json_type type{};
    return value.type().get(type) == simdjson::SUCCESS && type == wanted;
  }
  static bool is_number(od::value& value) { return has_type(value, od::json_type::number); }

  static simdjson::error_code read_flag(od::value& value, bool& flag) {
    od::json_type type{};
    if (const auto error = value.type().get(type)) return error;
    return type == od::json_type::boolean ? value.get_bool().get(flag) : simdjson::SUCCESS;
  }

  static simdjson::simdjson_result<std::string_view> raw_array(od::value& value) {
    od::array array;
    if (const auto error = value.get_array().get(array)) return error;
    return array.raw_json();
  }

  simdjson::error_code read_model(od::value value) {
    const std::string_view token = trimmed(value.raw_json_token());
    out_.model.reset();
    model_has_wrong_type_ = false;
    out_.model_value = ByteRange{.begin = offset(token), .end = offset(token) + token.size()};
    od::json_type type{};
    if (const auto error = value.type().get(type)) return error;
    if (type == od::json_type::null) return simdjson::SUCCESS;
    std::string_view text;
    if (type != od::json_type::string) {
      model_has_wrong_type_ = true;
      return simdjson::SUCCESS;
    }
    if (const auto error = value.get_string().get(text)) return error;
    out_.model = std::string{text};
    return simdjson::SUCCESS;
  }

  simdjson::error_code read_prompt(od::value value) {
    od::json_type type{};
    if (const auto error = value.type().get(type)) return error;
    if (type == od::json_type::string) {
      out_.prompt = trimmed(value.raw_json_token());
      if (out_.prompt.size() >= 2) out_.prompt = out_.prompt.substr(1, out_.prompt.size() - 2);
      std::string_view text;  // unescaped only to learn whether it is a string at all
      return value.get_string().get(text);
    }
    if (type != od::json_type::array) return simdjson::SUCCESS;
    if (const auto error = raw_array(value).get(out_.prompt)) return error;
    read_ids();
    return simdjson::SUCCESS;
  }

  /// [1, 2, 3] or [[1, 2, 3]]: token ids. Anything else leaves prompt_ids empty.
  void read_ids() {
    std::string_view rest = out_.prompt;
    int opened = 0;
    const auto blank = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
    while (!rest.empty() && (blank(rest.front()) || (rest.front() == '[' && ++opened <= 2))) rest.remove_prefix(1);
    std::vector<TokenId> ids;
    while (!rest.empty() && rest.front() != ']') {
      TokenId id = 0;
      const auto [end, status] = std::from_chars(rest.data(), rest.data() + rest.size(), id);
      if (status != std::errc{}) return;
      ids.push_back(id);
      rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
      while (!rest.empty() && (blank(rest.front()) || rest.front() == ',')) rest.remove_prefix(1);
    }
    for (; !rest.empty(); rest.remove_prefix(1)) {
      if (rest.front() == ',') return;  // several prompts
    }
    out_.prompt_ids = std::move(ids);
  }

  simdjson::error_code read_stream_options(od::value value) {
    out_.has_stream_options = true;
    out_.include_usage = false;
    out_.usage_edit.reset();
    const std::string_view token = trimmed(value.raw_json_token());
    const std::size_t begin = offset(token);
    od::json_type type{};
    if (const auto error = value.type().get(type)) return error;
    if (token == "null") out_.usage_edit = TextEdit{.range = {begin, begin + token.size()}, .text = kUsageOptions};
    if (type != od::json_type::object) return simdjson::SUCCESS;
    od::object options;
    if (const auto error = value.get_object().get(options)) return error;
    out_.usage_edit = TextEdit{.range = {begin + 1, begin + 1}, .text = R"("include_usage":true)"};
    bool per_event = false;
    for (auto item : options) {
      od::field field;
      if (const auto error = std::move(item).get(field)) return error;
      std::string_view key;
      if (const auto error = field.unescaped_key().get(key)) return error;
      // vLLM's: with it and usage, every event has counts, which a client that asked for none must not get.
      per_event = per_event || key == "continuous_usage_stats";
      if (out_.usage_edit && out_.usage_edit->range.begin == begin + 1)
        out_.usage_edit->text = R"("include_usage":true,)";
      if (key != "include_usage") continue;
      if (const auto error = read_include_usage(field.value())) return error;
    }
    if (per_event) out_.usage_edit.reset();
    return simdjson::SUCCESS;
  }

  simdjson::error_code read_include_usage(od::value value) {
    const std::string_view token = trimmed(value.raw_json_token());
    out_.usage_edit.reset();
    od::json_type type{};
    if (const auto error = value.type().get(type)) return error;
    if (type == od::json_type::boolean) {
      if (const auto error = value.get_bool().get(out_.include_usage)) return error;
    }
    if (token == "false" || token == "null") {
      out_.usage_edit = TextEdit{.range = {offset(token), offset(token) + token.size()}, .text = "true"};
    }
    return simdjson::SUCCESS;
  }

  simdjson::error_code read_salt(od::value value) {
    od::json_type type{};
    if (const auto error = value.type().get(type)) return error;
    if (type != od::json_type::string) return simdjson::SUCCESS;
    std::string_view text;
    if (const auto error = value.get_string().get(text)) return error;
    out_.cache_salt = std::string{text};
    return simdjson::SUCCESS;
  }

  /// vLLM copies vllm_xargs into the same place as kv_transfer_params, so steering fields inside are as bad as outside.
  /// The whole object goes then: no client has a use for it.
  simdjson::error_code read_extra_arguments(od::value value, bool& steering) {
    od::json_type type{};
    if (const auto error = value.type().get(type)) return error;
    if (type != od::json_type::object) return simdjson::SUCCESS;
    od::object arguments;
    if (const auto error = value.get_object().get(arguments)) return error;
    for (auto item : arguments) {
      od::field field;
      if (const auto error = std::move(item).get(field)) return error;
      std::string_view key;
      if (const auto error = field.unescaped_key().get(key)) return error;
      steering = steering || is_steering_field(key);
    }
    return simdjson::SUCCESS;
  }

  [[nodiscard]] std::size_t offset(std::string_view inside) const {
    return static_cast<std::size_t>(inside.data() - body_.data());
  }

  /// Runs of steering fields become byte ranges: up to the next field, or, at the end, from the comma before to the
  /// brace.
  void cut_steering() {
    const auto& places = places_.places;
    out_.object_begin = body_.find('{') + 1;
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (!places[i].steering) {
        out_.has_fields = true;
        continue;
      }
      std::size_t next = i;
      while (next < places.size() && places[next].steering) ++next;
      ByteRange range{.begin = places[i].begin, .end = body_.rfind('}')};
      if (next < places.size()) {
        range.end = places[next].begin;
      } else if (i > 0) {
        range.begin = body_.rfind(',', places[i].begin);
      }
      out_.steering.push_back(range);
      i = next - 1;
    }
  }

  std::string_view body_;
  RoutingFields& out_;
  FieldPlaces places_;
  bool model_has_wrong_type_ = false;
};

}  // namespace

bool is_steering_field(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 4> kNames{"kv_transfer_params", "ec_transfer_params", "data_parallel_rank",
                                                   "cache_hit_threshold"};
  for (const std::string_view known : kNames) {
    if (name == known) return true;
  }
  return name.starts_with("bootstrap_") || name.starts_with("disagg_") || name.starts_with("llmd_");
}

Result<RoutingFields> read_routing_fields(std::string& body) {
  body.reserve(body.size() + simdjson::SIMDJSON_PADDING);
  thread_local od::parser kept{kKeptParserBytes};
  std::unique_ptr<od::parser> large;
  if (body.size() > kKeptParserBytes) large = std::make_unique<od::parser>();
  od::parser& parser = large ? *large : kept;
  od::document document;
  const simdjson::padded_string_view padded{body.data(), body.size(), body.capacity()};
  if (const auto error = parser.iterate(padded).get(document)) return bad_json(simdjson::error_message(error));
  od::json_type type{};
  if (const auto error = document.type().get(type)) return bad_json(simdjson::error_message(error));
  if (type != od::json_type::object) {
    return fail(ErrorCode::kInvalidRequest, "the request body is not a JSON object", R"(send {"model": ..., ...})");
  }
  RoutingFields fields;
  Reader reader{body, fields};
  if (const auto error = reader.read(document)) return bad_json(simdjson::error_message(error));
  if (reader.model_has_wrong_type()) {
    return std::unexpected(Error{.code = ErrorCode::kInvalidRequest,
                                 .what = "model is not a string; expected the name of a model",
                                 .hint = "GET /v1/models lists the names",
                                 .param = "model"});
  }
  return fields;
}

std::optional<std::string> rewrite_body(std::string_view body, const RoutingFields& fields,
                                        const BodyChanges& changes) {
  std::string front;  // fields to add, each with its comma
  JsonWriter added{front};
  if (!changes.prompt_tokens.empty()) added.key(kPromptTokensField).string(changes.prompt_tokens);
  if (changes.model && !fields.model_value) added.key("model").string(*changes.model);
  if (changes.ask_for_usage && !fields.has_stream_options) added.key("stream_options").raw(kUsageOptions);
  if (!front.empty() && fields.has_fields) front += ',';
  std::string model;
  std::vector<TextEdit> edits;
  if (!front.empty()) edits.push_back({.range = {fields.object_begin, fields.object_begin}, .text = front});
  if (changes.model && fields.model_value) {
    append_json_string(model, *changes.model);
    edits.push_back({.range = *fields.model_value, .text = model});
  }
  if (changes.ask_for_usage && fields.usage_edit) edits.push_back(*fields.usage_edit);
  for (const ByteRange& range : fields.steering) edits.push_back({.range = range, .text = {}});
  if (edits.empty()) return std::nullopt;
  // What is added comes first, also where a field to be cut begins at the same place.
  std::sort(edits.begin(), edits.end(), [](const TextEdit& a, const TextEdit& b) {
    return a.range.begin != b.range.begin ? a.range.begin < b.range.begin : a.range.end < b.range.end;
  });
  std::string out;
  out.reserve(body.size() + front.size() + model.size() + kUsageOptions.size());
  std::size_t at = 0;
  for (const TextEdit& edit : edits) {
    out.append(body.substr(at, edit.range.begin - at)).append(edit.text);
    at = edit.range.end;
  }
  out += body.substr(at);
  return out;
}

namespace {

/// The number behind `"name":` in a small object.
std::optional<std::uint32_t> number_of(std::string_view object, std::string_view quoted_name) {
  const std::size_t at = object.find(quoted_name);
  if (at == std::string_view::npos) return std::nullopt;
  object.remove_prefix(at + quoted_name.size());
  const std::size_t digit = object.find_first_not_of(" \t\r\n:");
  if (digit == std::string_view::npos) return std::nullopt;
  std::uint32_t value = 0;
  const auto [end, status] = std::from_chars(object.data() + digit, object.data() + object.size(), value);
  return status == std::errc{} ? std::optional{value} : std::nullopt;
}

}  // namespace

std::optional<AnswerUsage> find_usage(std::string_view json) {
  constexpr std::size_t kUsageBytesMax = 2'048;
  const std::size_t at = json.rfind(R"("usage")");
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view object = json.substr(at, kUsageBytesMax);
  const std::size_t brace = object.find_first_not_of(" \t\r\n:", 7);
  if (brace == std::string_view::npos || object[brace] != '{') return std::nullopt;
  const auto prompt = number_of(object, R"("prompt_tokens")");
  if (!prompt) return std::nullopt;
  return AnswerUsage{.prompt_tokens = *prompt,
                     .cached_tokens = number_of(object, R"("cached_tokens")").value_or(0),
                     .completion_tokens = number_of(object, R"("completion_tokens")").value_or(0)};
}

}  // namespace llmd::openai
