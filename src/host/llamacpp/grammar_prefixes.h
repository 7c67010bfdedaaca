#pragma once

#include <llama-grammar.h>

namespace llmd::llamacpp {

/// Left factoring: alternatives of a rule that begin alike share the beginning, `"ab" | "ac"` becomes `"a" rest` with
/// `rest ::= "b" | "c"`. llama.cpp follows each alternative by itself, with all tokens: a list of 2,000 names would
/// cost 2,000 times as much as one. The language stays the same; rules with few alternatives stay as they are. Takes
/// rules as the parser makes them, each of which ends with LLAMA_GRETYPE_END.
void share_prefixes(llama_grammar_rules& rules);

}  // namespace llmd::llamacpp
