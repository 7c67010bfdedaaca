#include "llamacpp/grammar.h"

#include <fmt/format.h>
#include <json-schema-to-grammar.h>
#include <json.h>
#include <llama-grammar.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "llamacpp/backend.h"
#include "llamacpp/chat_template.h"
#include "llamacpp/grammar_prefixes.h"
#include "llamacpp/input_limits.h"
#include "llamacpp/schema_lowering.h"
#include "llamacpp/vocab.h"

namespace llmd::llamacpp {
namespace {

constexpr std::string_view kGrammarHint = "see the GBNF guide of llama.cpp (grammars/README.md)";

std::unexpected<Error> invalid(std::string what) {
  return fail(ErrorCode::kInvalidGrammar, std::move(what), std::string{kGrammarHint});
}

const char* skip_space(const char* at) {
  while (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n' || *at == '#') {
    if (*at != '#') {
      ++at;
      continue;
    }
    while (*at != '\0' && *at != '\n' && *at != '\r') ++at;
  }
  return at;
}

bool is_end(const llama_grammar_element& element) {
  return element.type == LLAMA_GRETYPE_END || element.type == LLAMA_GRETYPE_ALT;
}

/// Rules that begin with themselves, through rules that may be empty too, which llama.cpp's own check does not see: it
/// would go round in them for ever.
class LeftRecursion {
 public:
  explicit LeftRecursion(const llama_grammar_rules& rules)
      : rules_{rules}, nullable_(rules.size()), state_(rules.size()) {
    bool changed = true;
    for (std::size_t pass = 0; changed && pass <= kDepthMax; ++pass) {
      changed = false;
      for (std::size_t i = 0; i < rules.size(); ++i) {
        if (!nullable_[i] && can_be_empty(rules[i])) nullable_[i] = changed = true;
      }
    }
    too_deep_ = changed;
  }

  Result<void> check() {
    if (too_deep_) return too_deep();
    for (std::size_t i = 0; i < rules_.size(); ++i) LLMD_TRY_VOID(visit(i, 0));
    return {};
  }

 private:
  bool can_be_empty(const llama_grammar_rule& rule) const {
    bool empty = true;
    for (const llama_grammar_element& element : rule) {
      if (is_end(element)) {
        if (empty) return true;
        empty = true;
      } else if (element.type != LLAMA_GRETYPE_RULE_REF || !nullable_[element.value]) {
        empty = false;
      }
    }
    return false;
  }

  Result<void> visit(std::size_t rule, std::size_t depth) {
    if (state_[rule] == kDone) return {};
    if (state_[rule] == kOpen) return invalid("the grammar is left-recursive, which is not supported");
    if (depth > kDepthMax) return too_deep();
    state_[rule] = kOpen;
    bool leading = true;
    for (const llama_grammar_element& element : rules_[rule]) {
      if (is_end(element)) {
        leading = true;
      } else if (leading && element.type == LLAMA_GRETYPE_RULE_REF) {
        LLMD_TRY_VOID(visit(element.value, depth + 1));
        leading = nullable_[element.value];
      } else {
        leading = false;
      }
    }
    state_[rule] = kDone;
    return {};
  }

  static std::unexpected<Error> too_deep() {
    return invalid(fmt::format("the grammar nests its rules deeper than {}", kDepthMax));
  }

  enum State : std::uint8_t { kNew, kOpen, kDone };
  static constexpr std::size_t kDepthMax = 2'000;
  const llama_grammar_rules& rules_;
  bool too_deep_ = false;
  std::vector<bool> nullable_;
  std::vector<State> state_;
};

/// No class with a range that ends before it begins: nothing is in it, and the output would stop there.
Result<void> check_ranges(const llama_grammar_rules& rules) {
  for (const llama_grammar_rule& rule : rules) {
    for (std::size_t i = 1; i < rule.size(); ++i) {
      if (rule[i].type == LLAMA_GRETYPE_CHAR_RNG_UPPER && rule[i].value < rule[i - 1].value)
        return invalid("a class of the grammar has a range that ends before it begins");
    }
  }
  return {};
}

Result<void> check_references(const llama_grammar_parser& parser) {
  for (const auto& [name, id] : parser.symbol_ids) {
    if (id >= parser.rules.size() || parser.rules[id].empty())
      return invalid(fmt::format("the grammar uses rule \"{}\" but does not define it", name));
  }
  if (!parser.symbol_ids.contains("root")) return invalid("the grammar has no rule \"root\"");
  return {};
}

/// Parses rule by rule: llama_grammar_parser::parse would print a refused grammar to stderr.
Result<llama_grammar_parser> parse_gbnf(const llama_vocab* vocab, const std::string& gbnf) {
  LLMD_TRY_VOID(check_grammar_size(gbnf));
  llama_grammar_parser parser{vocab};
  const char* at = skip_space(gbnf.c_str());
  try {
    while (*at != '\0') at = parser.parse_rule(at);
  } catch (const std::exception& failure) {
    const auto line = 1 + std::count(gbnf.c_str(), at, '\n');
    const std::string_view why{failure.what()};
    return invalid(fmt::format("the grammar's rule at line {} does not parse: {}", line, why.substr(0, 120)));
  }
  LLMD_TRY_VOID(check_references(parser));
  LLMD_TRY_VOID(check_ranges(parser.rules));
  LLMD_TRY_VOID(LeftRecursion{parser.rules}.check());
  return parser;
}

/// Bounds what this thread does in a grammar for as long as it lives.
struct WorkLimit {
  explicit WorkLimit(std::int64_t steps) { llama_grammar_set_work_max(steps); }
  ~WorkLimit() { llama_grammar_set_work_max(INT64_MAX); }
  WorkLimit(const WorkLimit&) = delete;
  WorkLimit& operator=(const WorkLimit&) = delete;
};

struct FreeGrammar {
  void operator()(llama_grammar* grammar) const noexcept { llama_grammar_free_impl(grammar); }
};
using RawGrammar = std::unique_ptr<llama_grammar, FreeGrammar>;

Result<RawGrammar> compile(const llama_vocab* vocab, const std::string& gbnf) {
  LLMD_TRY(llama_grammar_parser parser, parse_gbnf(vocab, gbnf));
  share_prefixes(parser.rules);
  try {
    const WorkLimit limit{kGrammarStartWorkMax};
    std::vector<const llama_grammar_element*> rules = parser.c_rules();
    RawGrammar grammar{llama_grammar_init_impl(vocab, rules.data(), rules.size(), parser.symbol_ids.at("root"))};
    if (!grammar) return invalid(fmt::format("the grammar does not compile: {}", take_last_error()));
    return grammar;
  } catch (const std::exception& failure) {
    return invalid(fmt::format("the grammar does not compile: {}", failure.what()));
  }
}

/// Where constrained output begins in free text, for a lazy grammar.
class Trigger {
 public:
  explicit Trigger(const GrammarSpec& spec) : words_{spec.trigger_words}, tokens_{spec.trigger_tokens} {
    for (const std::string& pattern : spec.trigger_patterns) add(pattern);
    for (const std::string& pattern : spec.trigger_patterns_full) {
      if (!pattern.empty())
        add(fmt::format("{}{}{}", pattern.front() == '^' ? "" : "^", pattern, pattern.back() == '$' ? "" : "$"));
    }
  }

  [[nodiscard]] bool fires_on(TokenId token) const {
    return std::find(tokens_.begin(), tokens_.end(), token) != tokens_.end();
  }

  /// Where the constrained part begins in `text`, if it does. `fresh`: bytes at the end that are new.
  [[nodiscard]] std::optional<std::size_t> find(const std::string& text, std::size_t fresh) const {
    std::optional<std::size_t> first;
    for (const std::string& word : words_) {
      const std::size_t from = text.size() - std::min(text.size(), fresh + word.size());
      const std::size_t at = text.find(word, from);
      if (at != std::string::npos) first = std::min(first.value_or(at), at);
    }
    if (first || text.size() > kPatternTextMax) return first;
    for (const llama_grammar_trigger_pattern& pattern : patterns_) {
      const std::size_t at = pattern.find(text);
      if (at != std::string::npos) return at;
    }
    return {};
  }

 private:
  // std::regex recurses once a character and would overflow the stack on a long answer.
  static constexpr std::size_t kPatternTextMax = 16'384;
  void add(const std::string& pattern) { patterns_.push_back({pattern, std::regex{pattern}}); }

  std::vector<std::string> words_;
  std::vector<TokenId> tokens_;
  std::vector<llama_grammar_trigger_pattern> patterns_;
};

}  // namespace

struct Grammar::Impl {
  std::shared_ptr<const Model> model;
  Vocab vocab;
  RawGrammar grammar;
  std::optional<Trigger> trigger;  // while it waits for one
  std::string free_text;           // since the start, for a waiting trigger
  mutable std::vector<llama_token_data> scratch;
  bool too_much_work = false;  // some look took more than kGrammarWorkMax

  /// Sets the logit of what may not come next. Beyond the work that is allowed nothing more is told; accept() fails.
  void apply(llama_token_data_array& candidates) {
    if (too_much_work) return;
    try {
      const WorkLimit limit{kGrammarWorkMax};
      llama_grammar_apply_impl(*grammar, &candidates);
    } catch (const std::exception&) {
      too_much_work = true;
    }
  }

  Result<void> feed(TokenId token, const std::string& piece) {
    try {
      const WorkLimit limit{kGrammarWorkMax};
      llama_grammar_accept_token(*grammar, token, piece);
    } catch (const std::exception& failure) {
      return invalid(fmt::format("the output left the grammar: {}", std::string_view{failure.what()}.substr(0, 120)));
    }
    if (llama_grammar_get_stacks(grammar.get()).size() > kGrammarStacksMax) {
      return invalid(fmt::format("the grammar is too ambiguous: more than {} parses of the output", kGrammarStacksMax));
    }
    return {};
  }

  Result<void> wait_for_trigger(TokenId token) {
    const std::string piece = vocab.piece(token, /*special=*/true);
    if (trigger->fires_on(token)) {
      trigger.reset();
      return feed(token, piece);
    }
    free_text += piece;
    const std::optional<std::size_t> at = trigger->find(free_text, piece.size());
    if (!at) return {};
    const std::string constrained = free_text.substr(*at);
    trigger.reset();
    free_text.clear();
    return feed(token, constrained);
  }
};

Grammar::Grammar(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}
Grammar::~Grammar() = default;

Result<std::unique_ptr<Grammar>> Grammar::make(std::shared_ptr<const Model> model, const GrammarSpec& spec) {
  ensure_backend();
  LLMD_TRY(RawGrammar compiled, compile(llama_model_get_vocab(model->raw()), spec.gbnf));
  auto impl = std::make_unique<Impl>(Impl{.model = model, .vocab = Vocab{model}, .grammar = std::move(compiled)});
  try {
    if (spec.lazy) impl->trigger.emplace(spec);
  } catch (const std::exception& failure) {
    return invalid(
        fmt::format("a trigger pattern of the chat template is not a regular expression: {}", failure.what()));
  }
  std::unique_ptr<Grammar> grammar{new Grammar{std::move(impl)}};
  if (spec.lazy || spec.generation_prompt.empty()) return grammar;
  for (const TokenId token :
       grammar->impl_->vocab.encode(spec.generation_prompt, {.add_special = false, .parse_special = true})) {
    LLMD_TRY_VOID(grammar->accept(token));
  }
  return grammar;
}

bool Grammar::allows(TokenId token) const {
  if (impl_->trigger) return true;
  llama_token_data one{.id = token, .logit = 0, .p = 0};
  llama_token_data_array array{.data = &one, .size = 1, .selected = -1, .sorted = false};
  impl_->apply(array);
  return one.logit == 0;
}

void Grammar::mask(std::span<Candidate> candidates) const {
  if (impl_->trigger) return;
  std::vector<llama_token_data>& scratch = impl_->scratch;
  scratch.resize(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) scratch[i] = {candidates[i].token, 0.0F, 0.0F};
  llama_token_data_array array{.data = scratch.data(), .size = scratch.size(), .selected = -1, .sorted = false};
  impl_->apply(array);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (scratch[i].logit != 0) candidates[i].logit = -std::numeric_limits<float>::infinity();
  }
}

Result<void> Grammar::accept(TokenId token) {
  if (impl_->too_much_work) {
    return invalid("the grammar is too ambiguous: there are too many ways to read what may come next");
  }
  if (impl_->vocab.is_end_of_generation(token)) return {};
  if (impl_->trigger) return impl_->wait_for_trigger(token);
  return impl_->feed(token, impl_->vocab.piece(token, /*special=*/true));
}

Result<std::string> schema_to_gbnf(const std::string& json_schema) {
  LLMD_TRY(const std::string lowered, lower_schema(json_schema));
  std::string gbnf;
  try {
    common_json schema = common_json::parse(lowered);
    // An absent or empty schema means any object, as in OpenAI's json_object mode.
    if (schema.is_object() && schema.empty()) schema = common_json::parse(R"({"type":"object"})");
    gbnf = json_schema_to_grammar(schema, /*force_gbnf=*/true);
  } catch (const std::exception& failure) {
    return fail(ErrorCode::kInvalidGrammar,
                fmt::format("the JSON schema is not usable: {}", std::string_view{failure.what()}.substr(0, 200)),
                "docs/structured-output.md says which part of JSON Schema is supported");
  }
  LLMD_TRY_VOID(check_gbnf(gbnf));
  return gbnf;
}

Result<void> check_gbnf(const std::string& gbnf) {
  LLMD_TRY_VOID(compile(/*vocab=*/nullptr, gbnf));
  return {};
}

}  // namespace llmd::llamacpp
