#include "cel/expression.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>

namespace llmd::cel {
namespace {

constexpr std::array<FieldSpec, 7> kSchema{FieldSpec{"usage.prompt_tokens", Type::kNumber},
                                           FieldSpec{"usage.completion_tokens", Type::kNumber},
                                           FieldSpec{"usage.details.cached_tokens", Type::kNumber},
                                           FieldSpec{"usage.details.audio_tokens", Type::kNumber},
                                           FieldSpec{"r.i", Type::kInt},
                                           FieldSpec{"r.s", Type::kString},
                                           FieldSpec{"r.big", Type::kInt}};
using Given = std::array<std::optional<Value>, kSchema.size()>;

/// 10 prompt tokens, 4 of the answer, no details; r.i is 7, r.s "abc", r.big 2^53 + 1.
Given given() {
  Given fields;
  fields[0] = Value::of_int(10);
  fields[1] = Value::of_int(4);
  fields[4] = Value::of_int(7);
  fields[5] = Value::of_string("abc");
  fields[6] = Value::of_int((std::int64_t{1} << 53) + 1);
  return fields;
}

std::string shown(const Outcome& outcome) {
  if (!outcome) return std::string{evaluation_error_text(outcome.error())};
  switch (outcome->type()) {
    case Type::kBool: return outcome->as_bool() ? "true" : "false";
    case Type::kUint: return fmt::format("{}u", outcome->as_uint());
    case Type::kDouble: return fmt::format("double {:f}", outcome->as_double());
    case Type::kString: return fmt::format("'{}'", outcome->as_string());
    default: return std::to_string(outcome->as_int());
  }
}

struct Case {
  const char* text;
  const char* value;
};

void check(std::span<const Case> cases, const Given& fields = given()) {
  for (const Case& each : cases) {
    const auto expression = Expression::compile(each.text, kSchema);
    ASSERT_TRUE(expression.has_value()) << each.text << ": " << expression.error().to_string();
    EXPECT_EQ(shown(expression->evaluate(fields)), each.value) << each.text;
  }
}

// The cases of cel-spec's conformance suite for this part of the language (integer_math, fp_math, logic, comparisons,
// basic, parse), by what they claim.
TEST(CelExpression, ComputesWithIntsAsTheSpecDoes) {
  constexpr Case kCases[] = {{"40 + 2", "42"},
                             {"42 + (-7)", "35"},
                             {"-4 + (-2)", "-6"},
                             {"42 - 12", "30"},
                             {"-42 - (-12)", "-30"},
                             {"40 * (-2)", "-80"},
                             {"-30 * (-2)", "60"},
                             {"42 / 2", "21"},
                             {"7 / -2", "-3"},
                             {"-80 / (-2)", "40"},
                             {"47 % 5", "2"},
                             {"43 % (-5)", "3"},
                             {"-42 % (-5)", "-2"},
                             {"-3 % 5", "-3"},
                             {"-(42)", "-42"},
                             {"-(-42)", "42"},
                             {"-(0)", "0"},
                             {"34 % 0", "division by zero"},
                             {"15 / 0", "division by zero"},
                             {"5 * (15 + 25) == 5 * 15 + 5 * 25", "true"},
                             {"9223372036854775807 + 1", "beyond 64 bits"},
                             {"-9223372036854775808 - 1", "beyond 64 bits"},
                             {"-9223372036854775808 + (-1)", "beyond 64 bits"},
                             {"1 - (-9223372036854775807)", "beyond 64 bits"},
                             {"-(-9223372036854775808)", "beyond 64 bits"},
                             {"(-9223372036854775808) * -1", "beyond 64 bits"},
                             {"(-9223372036854775808)/-1", "beyond 64 bits"},
                             {"(-9223372036854775808)%-1", "beyond 64 bits"},
                             {"5000000000 * 5000000000", "beyond 64 bits"},
                             {"(-5000000000) * 5000000000", "beyond 64 bits"}};
  check(kCases);
}

TEST(CelExpression, ComputesWithUintsAsTheSpecDoes) {
  constexpr Case kCases[] = {{"42u + 2u", "44u"},
                             {"42u - 12u", "30u"},
                             {"40u * 2u", "80u"},
                             {"60u / 2u", "30u"},
                             {"42u % 5u", "2u"},
                             {"34u % 0u", "division by zero"},
                             {"15u / 0u", "division by zero"},
                             {"0u - 1u", "beyond 64 bits"},
                             {"18446744073709551615u + 1u", "beyond 64 bits"},
                             {"5000000000u * 5000000000u", "beyond 64 bits"}};
  check(kCases);
}

TEST(CelExpression, ComputesWithDoublesAsTheSpecDoes) {
  constexpr Case kCases[] = {{"4.25 + 15.25", "double 19.500000"},
                             {"42.5 * 0.2", "double 8.500000"},
                             {"40.75 * (-2.25)", "double -91.687500"},
                             {"-8.875 / (-0.0625)", "double 142.000000"},
                             {"-(0.0)", "double -0.000000"},
                             {"15.75 / 0.0", "double inf"},
                             {"2.0 * -8.988466e+307", "double -inf"},
                             {"1e-324 / 2.0", "double 0.000000"},
                             {".5 + 1e2", "double 100.500000"},
                             {"-2.3e+1", "double -23.000000"},
                             {"0.0/0.0 == 0.0/0.0", "false"},
                             {"0.0/0.0 != 0.0/0.0", "true"},
                             {"0.0/0.0 < 1.0", "not a number, which has no order"},
                             {"1 >= 0.0/0.0", "not a number, which has no order"},
                             {"0.0/0.0 > 1.0 || true", "true"}};
  check(kCases);
}

TEST(CelExpression, DecidesBySidesThatHaveNoError) {
  constexpr Case kCases[] = {{"true && false", "false"},
                             {"false && (2 / 0 > 3 ? false : true)", "false"},
                             {"(2 / 0 > 3 ? false : true) && false", "false"},
                             {"true && 1/0 != 0", "division by zero"},
                             {"1/0 != 0 && true", "division by zero"},
                             {"true || (2 / 0 > 3 ? false : true)", "true"},
                             {"(2 / 0 > 3 ? false : true) || true", "true"},
                             {"false || 1/0 != 0", "division by zero"},
                             {"1/0 != 0 || false", "division by zero"},
                             {"r.i / 0 == 1 || usage.details.cached_tokens > 1", "division by zero"},  // the left one
                             {"!true", "false"},
                             {"!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!true", "true"},
                             {"true ? 1 : 2", "1"},
                             {"false ? 'foo' : 'bar'", "'bar'"},
                             {"true ? 1 : 1 / 0", "1"},
                             {"2 / 0 > 4 ? 'baz' : 'quux'", "division by zero"},
                             {"false || true && false", "false"},
                             {"true || true && false", "true"}};
  check(kCases);
}

TEST(CelExpression, ComparesNumbersExactlyAndTextByCodePoint) {
  constexpr Case kCases[] = {{"1 == 1", "true"},
                             {"-1 == 1", "false"},
                             {"2u != 1u", "true"},
                             {"1.0 == 1.0e+0", "true"},
                             {"'' == \"\"", "true"},
                             {"'abc' == r'abc'", "true"},
                             {"'a' < 'b' && 'a' < 'ab' && 'z' < '\\u00e9'", "true"},
                             {"'Am\\u00E9lie' == 'Ame\\u0301lie'", "false"},
                             {"false < true", "true"},
                             {"1 < 2 == true", "true"},
                             {"1.0 == 1 && 1u == 1 && 2 > 1.5 && 1u < 2.5 && -1 < 0u", "true"},
                             {"usage.prompt_tokens / usage.completion_tokens > 2", "true"},
                             {"usage.prompt_tokens == 10.0", "true"},
                             {"usage.prompt_tokens < 10.5", "true"},
                             {"usage.prompt_tokens > 9u", "true"},
                             {"1e300 > usage.prompt_tokens && -1e300 < usage.prompt_tokens", "true"},
                             {"usage.prompt_tokens == 0.0/0.0", "false"}};
  check(kCases);
}

TEST(CelExpression, ComparesAWholeNumberWithADoubleWithoutRounding) {
  Given fields = given();
  fields[0] = Value::of_int((std::int64_t{1} << 53) + 1);
  constexpr Case kLarge[] = {{"usage.prompt_tokens > 9007199254740992.0", "true"},
                             {"usage.prompt_tokens == 9007199254740992.0", "false"}};
  check(kLarge, fields);
  fields[0] = Value::of_int(std::numeric_limits<std::int64_t>::max());
  constexpr Case kLargest[] = {{"usage.prompt_tokens < 9223372036854775808.0", "true"},
                               {"usage.prompt_tokens == 9223372036854775807", "true"}};
  check(kLargest, fields);
  fields[0] = Value::of_int(std::numeric_limits<std::int64_t>::min());
  constexpr Case kSmallest[] = {{"usage.prompt_tokens == -9223372036854775808.0", "true"},
                                {"usage.prompt_tokens > -9223372036854777856.0", "true"}};
  check(kSmallest, fields);
}

TEST(CelExpression, ReadsLiteralsAsTheSpecDoes) {
  constexpr Case kCases[] = {{"0", "0"},
                             {"123456789U", "123456789u"},
                             {"-9223372036854775808", "-9223372036854775808"},
                             {"0x55555555", "1431655765"},
                             {"-0x55555555", "-1431655765"},
                             {"0x55555555u", "1431655765u"},
                             {"--------------------------------19", "19"},
                             {"-- -19", "-19"},
                             {"r\"\"\"\"\"\"", "''"},
                             {"'''it's'''", "'it's'"},
                             {"'\\''", "'''"},
                             {"r'\\n'", "'\\n'"},
                             {"'\\x41\\101\\u0042\\U00000043'", "'AABC'"},
                             {"'\\u270c' == '\xe2\x9c\x8c' && '\\U0001f431' == '\xf0\x9f\x90\xb1'", "true"},
                             {"'\\a\\b\\f\\n\\r\\t\\v\\\"\\'\\\\\\?\\`' == '\a\b\f\\n\\r\t\v\"\\'\\\\?`'", "true"},
                             {"'\\xff' == '\xc3\xbf'", "true"},
                             {" 1 // one\n + // and\n 2", "3"}};
  check(kCases);
}

TEST(CelExpression, ReadsFieldsAndAsksForThem) {
  constexpr Case kCases[] = {{"usage.prompt_tokens + usage.completion_tokens", "14"},
                             {".usage.prompt_tokens - (usage).completion_tokens", "6"},
                             {"usage.details.cached_tokens", "no such field"},
                             {"has(usage.prompt_tokens)", "true"},
                             {"has(usage.details)", "false"},
                             {"has(usage.details.cached_tokens)", "no such field"},  // the record is not there
                             {"has(usage.details) && has(usage.details.cached_tokens)", "false"},
                             {"has(usage.details) ? usage.details.cached_tokens : 0", "0"},
                             {"has(usage.reasoning_tokens)", "false"},
                             {"has(usage.reasoning.tokens)", "no such field"},
                             {"has(usage.reasoning_tokens) ? usage.reasoning_tokens : 3", "3"},
                             {"usage.reasoning_tokens > 0", "no such field"},
                             {"usage.reasoning_tokens > 0 || true", "true"},
                             {"usage.reasoning.tokens", "no such field"},
                             {"r.s == 'abc' ? r.i : 0", "7"}};
  check(kCases);
  Given fields = given();
  fields[2] = Value::of_int(6);
  constexpr Case kWithDetails[] = {{"has(usage.details)", "true"},
                                   {"has(usage.details.cached_tokens)", "true"},
                                   {"has(usage.details.audio_tokens)", "false"},
                                   {"usage.prompt_tokens - usage.details.cached_tokens", "4"}};
  check(kWithDetails, fields);
}

TEST(CelExpression, LetsNumbersOfJsonGoWithIntsAndDoubles) {
  constexpr Case kCases[] = {{"usage.prompt_tokens * 2", "20"},
                             {"usage.prompt_tokens / 4", "2"},
                             {"usage.prompt_tokens % 4", "2"},
                             {"-usage.prompt_tokens", "-10"},
                             {"usage.prompt_tokens * 0.25", "double 2.500000"},
                             {"0.5 + usage.prompt_tokens", "double 10.500000"},
                             {"usage.prompt_tokens / usage.completion_tokens", "double 2.500000"},
                             {"usage.prompt_tokens / (usage.completion_tokens - 4)", "double inf"},
                             {"(usage.prompt_tokens + 1) * 0.5", "double 5.500000"},
                             {"(has(usage.prompt_tokens) ? usage.prompt_tokens : 0) * 0.5", "double 5.000000"},
                             {"true ? usage.prompt_tokens : 0.5", "double 10.000000"},
                             {"false ? 0.5 : usage.prompt_tokens", "double 10.000000"},
                             {"9223372036854775807 + usage.prompt_tokens", "beyond 64 bits"}};
  check(kCases);
}

TEST(CelExpression, RefusesWhatIsNoPartOfIt) {
  constexpr Case kCases[] = {{"", "1:1: the text ends; expected a value"},
                             {"usage.prompt_tokens + -", "1:24: the text ends; expected a value"},
                             {"usage.prompt_tokens >", "1:22: the text ends; expected a value"},
                             {"1 +\n  * 2", "2:3: \"*\" is unexpected; expected a value"},
                             {"1 2", "1:3: \"2\" is unexpected; expected an operator or the end"},
                             {"(1", "1:3: the text ends; expected an operator or )"},
                             {"true ? 1", "1:9: the text ends; expected the : of a condition"},
                             {"1 + 'a'", "1:3: + has no meaning for int and string"},
                             {"'a' + 'b'", "1:5: + has no meaning for string and string"},
                             {"true + false", "1:6: + has no meaning for bool and bool"},
                             {"1 + 1.0", "1:3: + has no meaning for int and double"},
                             {"1 + 1u", "1:3: + has no meaning for int and uint"},
                             {"usage.prompt_tokens * 2u", "1:21: * has no meaning for number and uint"},
                             {"r.i * 0.5", "1:5: * has no meaning for int and double"},
                             {"1.0 == '1'", "1:5: == cannot compare double with string"},
                             {"usage.prompt_tokens == 'a'", "1:21: == cannot compare number with string"},
                             {"47.5 % 5.5", "1:6: % has no meaning for doubles"},
                             {"usage.prompt_tokens % 5.5", "1:21: % has no meaning for doubles"},
                             {"-(42u)", "1:1: - has no meaning for uint"},
                             {"-false", "1:1: - has no meaning for bool"},
                             {"!0", "1:2: what stands behind ! is of type int; expected bool"},
                             {"'cows' ? false : 17", "1:1: what stands before ? is of type string; expected bool"},
                             {"true ? 'cows' : 17", "1:17: the two results of ?: are of types string and int"},
                             {"true ? 1 : 1.5", "1:12: the two results of ?: are of types int and double"},
                             {"false && 32", "1:10: the right of && is of type int; expected bool"},
                             {"'horses' || true", "1:1: the left of || is of type string; expected bool"},
                             {"9223372036854775808", "1:1: 9223372036854775808 is beyond 64 bits"},
                             {"18446744073709551616u", "1:1: 18446744073709551616u is beyond 64 bits"},
                             {"1e400", "1:1: 1e400 is beyond 64 bits"},
                             {"12abc", "1:1: a number ends in a letter"},
                             {"'abc", "1:1: a string has no end"},
                             {"'a\nb'", "1:1: a string has no end"},
                             {"'\\q'", "1:1: a string with an escape that CEL does not have"},
                             {"'\\ud800'", "1:1: a string with an escape that CEL does not have"},
                             {"b'abc'", "1:1: bytes are not supported"},
                             {"null", "1:1: null is not supported"},
                             {"[1, 2]", "1:1: lists, maps and indices are not supported"},
                             {"{'a': 1}", "1:1: lists, maps and indices are not supported"},
                             {"usage['prompt_tokens']", "1:6: lists, maps and indices are not supported"},
                             {"1 in [1]", "1:3: \"in\" is not supported, as there are no lists and maps"},
                             {"size('abc')", "1:1: functions are not supported: size()"},
                             {"int(usage.prompt_tokens)", "1:1: functions are not supported: int()"},
                             {"'abc'.matches('a')", "1:7: functions are not supported: matches()"},
                             {"usage.exists(x, x > 1)", "1:7: functions are not supported: exists()"},
                             {"response.code", "1:1: \"response\" is not known here"},
                             {"while", "1:1: \"while\" is a reserved word"},
                             {"usage", "1:1: usage is a record, not a value"},
                             {"usage.details + 1", "1:1: usage.details is a record, not a value"},
                             {"usage.prompt_tokens.x", "1:21: a value of type number has no fields"},
                             {"(1 + 2).x", "1:9: a value of type int has no fields"},
                             {"usage.in", "1:7: \"in\" is not supported, as there are no lists and maps"},
                             {"usage.", "1:7: the text ends; expected a field's name"},
                             {"has(usage)", "1:5: has() asks for a field, written record.field"},
                             {"has(usage.prompt_tokens + 1)", "1:5: has() asks for a field, written record.field"},
                             {"has(--usage.prompt_tokens)", "1:5: has() asks for a field, written record.field"},
                             {"has()", "1:5: \")\" is unexpected; expected a value"},
                             {"1 & 2", "1:3: \"&\" has no meaning here"},
                             {"1 = 2", "1:3: \"=\" has no meaning here"},
                             {"\xff", "1:1: byte 255 has no meaning here"}};
  for (const Case& each : kCases) {
    const auto expression = Expression::compile(each.text, kSchema);
    ASSERT_FALSE(expression.has_value()) << each.text;
    EXPECT_EQ(expression.error().code, ErrorCode::kConfigInvalid);
    EXPECT_EQ(expression.error().what, each.value) << each.text;
  }
}

TEST(CelExpression, KeepsTheLimitsOfTheSpecAndItsOwn) {
  const auto repeated = [](std::string_view part, std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += part;
    return text;
  };
  const auto compiles = [](const std::string& text) { return Expression::compile(text, kSchema).has_value(); };
  EXPECT_TRUE(compiles(repeated("false || ", 32) + "true"));
  EXPECT_TRUE(compiles(repeated("true ? 1 : ", 24) + "2"));
  EXPECT_TRUE(compiles(repeated("(", 32) + "7" + repeated(")", 32)));
  EXPECT_TRUE(compiles(repeated("1 + ", 255) + "1"));
  EXPECT_FALSE(compiles(repeated("1 + ", 256) + "1"));
  EXPECT_FALSE(compiles(repeated("(", kNestingMax) + "7" + repeated(")", kNestingMax)));
  EXPECT_FALSE(compiles(repeated("true ? 1 : ", kNestingMax) + "2"));
  EXPECT_TRUE(compiles(repeated(" ", kTextBytesMax - 1) + "1"));
  EXPECT_FALSE(compiles(repeated(" ", kTextBytesMax) + "1"));
}

TEST(CelExpression, TellsItsTypeAndTheFieldsThatNobodyHas) {
  const auto expression = Expression::compile("has(usage.audio) ? usage.audio : usage.prompt_tokens", kSchema);
  ASSERT_TRUE(expression.has_value());
  EXPECT_EQ(expression->type(), Type::kNumber);
  EXPECT_EQ(expression->unknown_fields(), (std::vector<std::string>{"usage.audio"}));
  EXPECT_EQ(Expression::compile("'a' < 'b'", kSchema)->type(), Type::kBool);
}

}  // namespace
}  // namespace llmd::cel
