#include "api/requests/body_reader.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "api/requests/media_walk.h"
#include "api/requests/ondemand.h"

namespace llmd::api {
namespace {

using openai::ByteRange;
using openai::RoutingFields;
using openai::TextEdit;

constexpr std::size_t kKeptParserBytes = 1U
                                         << 20U;  // a parser needs about 6 times its capacity, for as long as it lives

std::unexpected<Error> bad_json(std::string_view why) {
  return fail(ErrorCode::kInvalidJson, fmt::format("the request body is not valid JSON: {}", why));
}

/// Of a document that is no object: the type only says how it begins.
bool may_be_json(od::json_type type, od::document& document) {
  double number = 0;
  bool flag = false;
  std::string_view rest;
  const std::string_view token = document.raw_json_token().get(rest) == simdjson::SUCCESS ? trimmed(rest) : rest;
  switch (type) {
    case od::json_type::null: return token == "null";
    case od::json_type::number: return document.get_double().get(number) == simdjson::SUCCESS;
    case od::json_type::boolean: return document.get_bool().get(flag) == simdjson::SUCCESS;
    default: return true;
  }
}

/// Where each top-level field begins, to cut fields out with the right comma.
struct FieldPlace {
  std::size_t begin = 0;
  bool steering = false;
};

std::uint32_t to_u32(double value) {
  return static_cast<std::uint32_t>(std::clamp<double>(value, 0, std::numeric_limits<std::uint32_t>::max()));
}

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/// A number of up to seven digits at the front of eight bytes, without a branch that depends on how many there are.
struct ShortNumber {
  std::uint32_t value = 0;
  std::size_t digits = 0;  // 0 or 8: read it another way
};

ShortNumber read_short_number(const char* text) {
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, text, sizeof(bytes));
  static_assert(std::endian::native == std::endian::little);
  bytes ^= 0x3030'3030'3030'3030;  // a digit becomes its value, all else more than 9
  const std::uint64_t others = ((bytes + 0x7676'7676'7676'7676) | bytes) & 0x8080'8080'8080'8080;
  const auto digits = static_cast<std::size_t>(std::countr_zero(others)) / 8;
  if (digits == 0 || digits == 8) return {.value = 0, .digits = digits};
  bytes <<= 64 - 8 * digits;  // leading zeros; then pairs, fours and eights of digits are joined
  bytes = (bytes * 2'561 >> 8) & 0x00ff'00ff'00ff'00ff;
  bytes = (bytes * 6'553'601 >> 16) & 0x0000'ffff'0000'ffff;
  bytes = bytes * 42'949'672'960'001 >> 32;
  return {.value = static_cast<std::uint32_t>(bytes), .digits = digits};
}

/// [1, 2, 3] or [[1, 2, 3]]: token ids. Nothing for anything else.
std::vector<TokenId> token_ids_in(std::string_view list) {
  const char* at = list.data();
  const char* const end = at + list.size();
  for (int opened = 0; at < end && (is_blank(*at) || (*at == '[' && ++opened <= 2));) ++at;
  std::vector<TokenId> ids;
  if (at == end || (*at != '-' && (*at < '0' || *at > '9'))) return ids;
  constexpr std::size_t kUsualBytes = 6;  // of an id and its comma
  ids.reserve(list.size() / kUsualBytes + 1);
  while (at < end && *at != ']') {
    const auto number = end - at >= 8 ? read_short_number(at) : ShortNumber{};
    if (number.digits != 0 && number.digits != 8 && at[number.digits] == ',') {
      ids.push_back(static_cast<TokenId>(number.value));
      at += number.digits + 1;
      continue;
    }
    if (is_blank(*at) || *at == ',') {
      ++at;
      continue;
    }
    const bool negative = *at == '-';
    if (negative) ++at;
    const char* const first = at;
    std::uint64_t id = 0;
    constexpr std::ptrdiff_t kDigitsMax = 10;
    while (at < end && at - first < kDigitsMax && *at >= '0' && *at <= '9') {
      id = id * 10 + static_cast<std::uint64_t>(*at++ - '0');
    }
    const bool cut = at < end && *at >= '0' && *at <= '9';
    if (at == first || cut || id > std::numeric_limits<TokenId>::max()) return {};
    ids.push_back(negative ? -static_cast<TokenId>(id) : static_cast<TokenId>(id));
  }
  for (; at < end; ++at) {
    if (*at == ',') return {};  // several prompts
  }
  return ids;
}

/// Reads one document. Views point into the body.
class Reader {
 public:
  Reader(std::string_view body, ByteRange json, const BodyForm& form, const ParseHints& hints, BodyReading& out)
      : body_{body}, json_{json}, form_{form}, hints_{hints}, reading_{out}, out_{out.fields} {}

  simdjson::error_code read(od::document& document) {
    document_ = &document;
    od::object object;
    if (const auto error = document.get_object().get(object)) return error;
    for (auto item : object) {
      od::field field;
      if (const auto error = std::move(item).get(field)) return error;
      const std::size_t begin = static_cast<std::size_t>(field.key().raw() - body_.data()) - 1;
      std::string_view key;
      if (const auto error = field.unescaped_key().get(key)) return error;
      bool steering = is_cut(key);
      if (const auto error = read_field(key, field.value(), steering)) return error;
      places_.push_back({.begin = begin, .steering = steering});
    }
    const char* trailing = nullptr;  // an error here means that nothing follows the object
    if (document.current_location().get(trailing) == simdjson::SUCCESS) return simdjson::TRAILING_CONTENT;
    if (strong_output_tokens_) out_.output_tokens_max = *strong_output_tokens_;
    cut_steering();
    return simdjson::SUCCESS;
  }

  [[nodiscard]] bool model_has_wrong_type() const noexcept { return model_has_wrong_type_; }

 private:
  [[nodiscard]] bool is_cut(std::string_view key) const noexcept {
    return openai::is_steering_field(key) && !(form_.keeps_cache_threshold && key == "cache_hit_threshold");
  }

  simdjson::error_code read_field(std::string_view key, od::value value, bool& steering) {
    const auto meaning = std::find_if(form_.fields.begin(), form_.fields.end(),
                                      [&](const FieldMeaning& known) { return known.name == key; });
    if (meaning == form_.fields.end()) return simdjson::SUCCESS;
    switch (meaning->use) {
      case FieldUse::kModel: return read_model(value);
      case FieldUse::kPrompt: return read_prompt(value);
      case FieldUse::kSystem: return read_system(value);
      case FieldUse::kTools:
        return has_type(value, od::json_type::array) ? raw_array(value).get(out_.tools) : simdjson::SUCCESS;
      case FieldUse::kOutputTokens:
        if (const auto count = whole_number(value)) out_.output_tokens_max = *count;
        break;
      case FieldUse::kOutputTokensFirst:
        if (const auto count = whole_number(value)) strong_output_tokens_ = count;
        break;
      case FieldUse::kSampling: return read_sampling(value);
      case FieldUse::kPriority: read_priority(value); break;
      case FieldUse::kStream: return read_flag(value, out_.stream);
      case FieldUse::kStreamOptions: return read_stream_options(value);
      case FieldUse::kCacheSalt: return read_salt(value);
      case FieldUse::kExtraArguments: return read_extra_arguments(value, steering);
      case FieldUse::kRequestId:
        if (has_type(value, od::json_type::string)) reading_.request_id = string_text(value);
        break;
      case FieldUse::kFeatures: return read_features(value, reading_.media);
    }
    return simdjson::SUCCESS;
  }

  static simdjson::error_code read_flag(od::value& value, bool& flag) {
    od::json_type type{};
    if (const auto error = value.type().get(type)) return error;
    return type == od::json_type::boolean ? value.get_bool().get(flag) : simdjson::SUCCESS;
  }

  /// Also one written as 64.0. Nothing for all else.
  static std::optional<std::uint32_t> whole_number(od::value& value) {
    if (!is_number(value)) return {};
    double number = 0;
    if (value.get_double().get(number) != simdjson::SUCCESS || number < 0 || number != std::trunc(number)) return {};
    return to_u32(number);
  }

  void read_priority(od::value& value) {
    std::int64_t priority = 0;
    if (!is_number(value) || value.get_int64().get(priority) != simdjson::SUCCESS) return;
    constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max();
    // On the wire, as in vLLM, lower is earlier.
    out_.priority = -static_cast<std::int32_t>(std::clamp<std::int64_t>(priority, -kMax, kMax));
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
    if (type == od::json_type::string) return read_string_prompt(value);
    if (type != od::json_type::array) return simdjson::SUCCESS;
    reading_.has_prompt = reading_.prompt_is_list = true;
    const std::string_view token = value.raw_json_token();
    const bool of_objects = token.data()[token.size()] == '{';  // where the next token begins
    if (form_.has_media && of_objects) {
      reading_.media.clear();
      MediaWalk walk{.hints = hints_, .media = reading_.media, .cuts = out_.cuts};
      if (const auto error = walk_list(value, walk, out_.prompt)) return error;
    } else if (const auto error = raw_array(value).get(out_.prompt)) {
      return error;
    }
    const std::size_t first = out_.prompt.find_first_not_of(" \n\r\t", 1);
    reading_.prompt_is_empty = first == std::string_view::npos || out_.prompt[first] == ']';
    out_.prompt_ids = token_ids_in(out_.prompt);
    return simdjson::SUCCESS;
  }

  simdjson::error_code read_string_prompt(od::value& value) {
    const std::string_view token = trimmed(value.raw_json_token());
    if (token.size() < 2 || token.back() != '"') return simdjson::STRING_ERROR;
    out_.prompt = token.substr(1, token.size() - 2);
    out_.prompt_ids.clear();
    reading_.has_prompt = true;
    reading_.prompt_is_list = false;
    reading_.prompt_is_empty = out_.prompt.empty();
    return simdjson::SUCCESS;
  }

  simdjson::error_code read_system(od::value value) {
    if (has_type(value, od::json_type::string)) {
      out_.system = string_text(value);
      return simdjson::SUCCESS;
    }
    if (!has_type(value, od::json_type::array)) return simdjson::SUCCESS;
    std::vector<MediaItem> none;
    MediaWalk walk{.hints = hints_, .media = none, .cuts = out_.cuts};
    return walk_list(value, walk, out_.system);
  }

  simdjson::error_code read_sampling(od::value value) {
    if (!has_type(value, od::json_type::object)) return simdjson::SUCCESS;
    od::object parameters;
    if (const auto error = value.get_object().get(parameters)) return error;
    for (auto item : parameters) {
      od::field field;
      if (const auto error = std::move(item).get(field)) return error;
      std::string_view key;
      if (const auto error = field.unescaped_key().get(key)) return error;
      od::value inner = field.value();
      if (key == "extra_args") {
        if (const auto error = read_sampling_extras(inner)) return error;
      }
      if (form_.sampling_output.empty() || key != form_.sampling_output) continue;
      if (const auto count = whole_number(inner)) out_.output_tokens_max = *count;
    }
    return simdjson::SUCCESS;
  }

  /// vLLM's sampling_params.extra_args is where vllm_xargs ends up. What stands in it goes, and its braces stay.
  simdjson::error_code read_sampling_extras(od::value value) {
    if (!has_type(value, od::json_type::object)) return simdjson::SUCCESS;
    od::object arguments;
    if (const auto error = value.get_object().get(arguments)) return error;
    bool steering = false;
    if (const auto error = look_for_steering(arguments, steering)) return error;
    if (!steering) return simdjson::SUCCESS;
    std::string_view raw;
    if (const auto error = arguments.reset().error()) return error;
    if (const auto error = arguments.raw_json().get(raw)) return error;
    const std::size_t begin = offset(raw) + 1;
    inner_steering_.push_back({.begin = begin, .end = offset(raw) + raw.rfind('}')});
    return simdjson::SUCCESS;
  }

  /// The whole list, walked for media.
  simdjson::error_code walk_list(od::value& value, MediaWalk& walk, std::string_view& text) {
    const char* begin = value.raw_json_token().data();
    od::array list;
    if (const auto error = value.get_array().get(list)) return error;
    if (const auto error = walk_media(list, walk)) return error;
    const char* end = nullptr;  // a list inside an object is always followed by something
    if (const auto error = document_->current_location().get(end)) return error;
    text = trimmed({begin, static_cast<std::size_t>(end - begin)});
    return simdjson::SUCCESS;
  }

  simdjson::error_code read_stream_options(od::value value) {
    out_.has_stream_options = true;
    out_.include_usage = false;
    out_.usage_edit.reset();
    const std::string_view token = trimmed(value.raw_json_token());
    const std::size_t begin = offset(token);
    od::json_type type{};
    if (const auto error = value.type().get(type)) return error;
    if (token == "null")
      out_.usage_edit = TextEdit{.range = {begin, begin + token.size()}, .text = R"({"include_usage":true})"};
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
    return look_for_steering(arguments, steering);
  }

  simdjson::error_code look_for_steering(od::object& arguments, bool& steering) const {
    for (auto item : arguments) {
      od::field field;
      if (const auto error = std::move(item).get(field)) return error;
      std::string_view key;
      if (const auto error = field.unescaped_key().get(key)) return error;
      steering = steering || is_cut(key);
    }
    return simdjson::SUCCESS;
  }

  [[nodiscard]] std::size_t offset(std::string_view inside) const {
    return static_cast<std::size_t>(inside.data() - body_.data());
  }

  /// Runs of steering fields become byte ranges: up to the next field, or, at the end, from the comma before to the
  /// brace.
  void cut_steering() {
    out_.object_begin = body_.find('{', json_.begin) + 1;
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (!places_[i].steering) {
        out_.has_fields = true;
        continue;
      }
      std::size_t next = i;
      while (next < places_.size() && places_[next].steering) ++next;
      ByteRange range{.begin = places_[i].begin, .end = body_.rfind('}', json_.end - 1)};
      if (next < places_.size()) {
        range.end = places_[next].begin;
      } else if (i > 0) {
        range.begin = body_.rfind(',', places_[i].begin);
      }
      out_.steering.push_back(range);
      i = next - 1;
    }
    if (inner_steering_.empty()) return;
    out_.steering.insert(out_.steering.end(), inner_steering_.begin(), inner_steering_.end());
    std::ranges::sort(out_.steering, {}, &ByteRange::begin);
  }

  std::string_view body_;
  ByteRange json_;
  const BodyForm& form_;
  const ParseHints& hints_;
  BodyReading& reading_;
  RoutingFields& out_;
  od::document* document_ = nullptr;
  std::vector<FieldPlace> places_;
  std::vector<ByteRange> inner_steering_;  // inside fields that stay
  std::optional<std::uint32_t> strong_output_tokens_;
  bool model_has_wrong_type_ = false;
};

}  // namespace

Result<BodyReading> read_body(std::string& body, ByteRange json, const BodyForm& form, const ParseHints& hints) {
  body.reserve(body.size() + simdjson::SIMDJSON_PADDING);
  const std::size_t size = json.end - json.begin;
  thread_local od::parser kept{kKeptParserBytes};
  std::unique_ptr<od::parser> large;
  if (size > kKeptParserBytes) large = std::make_unique<od::parser>();
  od::parser& parser = large ? *large : kept;
  od::document document;
  const simdjson::padded_string_view padded{body.data() + json.begin, size, body.capacity() - json.begin};
  if (const auto error = parser.iterate(padded).get(document)) return bad_json(simdjson::error_message(error));
  od::json_type type{};
  if (const auto error = document.type().get(type)) return bad_json(simdjson::error_message(error));
  if (type != od::json_type::object) {
    if (!may_be_json(type, document)) return bad_json("it is no value of JSON");
    return fail(ErrorCode::kInvalidRequest, "the request body is not a JSON object", R"(send {"model": ..., ...})");
  }
  BodyReading reading;
  Reader reader{body, json, form, hints, reading};
  if (const auto error = reader.read(document)) return bad_json(simdjson::error_message(error));
  if (reader.model_has_wrong_type()) {
    return std::unexpected(Error{.code = ErrorCode::kInvalidRequest,
                                 .what = "model is not a string; expected the name of a model",
                                 .hint = "GET /v1/models lists the names",
                                 .param = "model"});
  }
  return reading;
}

}  // namespace llmd::api
