#include "llamacpp/schema_lowering.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace llmd::llamacpp {
namespace {

using Json = nlohmann::ordered_json;

/// The text of the lowered schema, or of its error.
std::string lowered(const std::string& schema) {
  const auto result = lower_schema(schema);
  if (result) return *result;
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidGrammar);
  return result.error().what;
}

struct Case {
  const char* name;
  const char* given;
  const char* wanted;
};

TEST(LowerSchema, WritesWhatTheConverterKeeps) {
  const Case kCases[] = {
      {"what needs nothing is kept, texts included", R"({"type":"string","title":"t","not":{"const":"a"}})",
       R"({"type":"string","title":"t","not":{"const":"a"}})"},
      {"patterns, where a pattern stands",
       R"({"properties":{"pattern":{"pattern":"^\\d$"}},"default":{"pattern":"\\d"}})",
       R"({"properties":{"pattern":{"pattern":"^[\\U00000030-\\U00000039]$"}},"default":{"pattern":"\\d"}})"},
      {"definitions that are used", R"({"$ref":"#/$defs/a","$defs":{"a":{"type":"null"},"b":{"type":"colour"}}})",
       R"({"$ref":"#/$defs/a","$defs":{"a":{"type":"null"}}})"},
      {"names that differ in punctuation",
       R"({"prefixItems":[{"$ref":"#/$defs/B[i]"},{"$ref":"#/$defs/B_i_"}],)"
       R"("$defs":{"B[i]":{"const":1},"B_i_":{"const":2}}})",
       R"({"prefixItems":[{"$ref":"#/$defs/Bi"},{"$ref":"#/$defs/Bix2"}],)"
       R"("$defs":{"Bix2":{"enum":[2]},"Bi":{"enum":[1]}}})"},
      {"the root", R"({"type":"object","properties":{"next":{"$ref":"#"}}})",
       R"({"type":"object","properties":{"next":{"$ref":"#/$defs/part"}},"$defs":{"part":)"
       R"({"type":"object","properties":{"next":{"$ref":"#/$defs/part"}}}}})"},
      {"types that cannot be", R"({"type":["integer","null"],"minimum":2,"maximum":1})",
       R"({"type":"null","minimum":2,"maximum":1})"},
      {"bounds, exclusive and not", R"({"type":"integer","minimum":1,"exclusiveMinimum":1.5,"exclusiveMaximum":9})",
       R"({"type":"integer","minimum":2,"maximum":8})"},
      {"exclusive bounds of draft 4", R"({"type":"integer","minimum":1,"exclusiveMinimum":true})",
       R"({"type":"integer","minimum":2})"},
      {"an upper bound below zero", R"({"type":"integer","maximum":-5})",
       R"({"type":"integer","maximum":-5,"minimum":-999999999999999})"},
      {"a lower bound of more digits than one", R"({"type":"integer","minimum":100})",
       R"({"type":"integer","minimum":100,"maximum":999999999999999})"},
      {"bounds of a number are no integers", R"({"type":["number","null"],"minimum":0.2,"maximum":0.8})",
       R"({"type":["null","number"],"minimum":0.2,"maximum":0.8})"},
      {"all types, one by one", R"({"type":["null","boolean","number","string","array","object"],"pattern":"^\\d$"})",
       R"({"type":["null","boolean","number","string","array","object"],"pattern":"^[\\U00000030-\\U00000039]$"})"},
      {"an optional property that cannot be", R"({"properties":{"a":{"type":"string","enum":[1]},"b":{}}})",
       R"({"properties":{"b":{}}})"},
      {"a tuple of no places and a rest", R"({"type":"array","prefixItems":[],"items":{"type":"string"}})",
       R"({"type":"array","items":{"type":"string"}})"},
      {"items that cannot be", R"({"type":"array","items":{"type":"string","enum":[1]}})",
       R"({"type":"array","prefixItems":[]})"},
      {"pointers with escapes", R"({"$ref":"#/$defs/a~1%41","$defs":{"a/A":{"type":"null"}}})",
       R"({"$ref":"#/$defs/a141","$defs":{"a141":{"type":"null"}}})"},
      {"bounds beyond 64 bits", R"({"type":"integer","maximum":18446744073709551615})", R"({"type":"integer"})"},
      {"lengths that no answer reaches", R"({"type":"string","maxLength":4294967296})", R"({"type":"string"})"},
      {"a tuple with more items", R"({"prefixItems":[{},{"const":1}],"items":false,"maxItems":1})",
       R"({"prefixItems":[{}],"maxItems":1})"},
  };
  for (const auto& test : kCases) EXPECT_EQ(lowered(test.given), test.wanted) << test.name;
}

TEST(LowerSchema, WorksOutWhatHasToHoldTogether) {
  const Case kCases[] = {
      {"allOf of strings", R"({"allOf":[{"type":"string"},{"minLength":2},{"maxLength":9,"minLength":1}]})",
       R"({"type":"string","minLength":2,"maxLength":9})"},
      {"allOf of enums beside a type", R"({"type":"string","allOf":[{"enum":["a","b",1]},{"enum":["b",1]}]})",
       R"({"type":"string","enum":["b"]})"},
      {"a reference with more beside it",
       R"({"$ref":"#/$defs/n","maximum":5,"$defs":{"n":{"type":"integer","minimum":1}}})",
       R"({"type":"integer","minimum":1,"maximum":5})"},
      {"what stands beside a choice",
       R"({"properties":{"a":{},"b":{}},"anyOf":[{"required":["a"]},{"required":["b"]}]})",
       R"({"anyOf":[{"properties":{"a":{},"b":{}},"required":["a"]},)"
       R"({"properties":{"a":{},"b":{}},"required":["b"]}]})"},
      {"a choice without what cannot be",
       R"({"type":"integer","anyOf":[{"const":"x"},{"minimum":9,"maximum":1},{"const":3}]})",
       R"({"type":"integer","enum":[3]})"},
      {"a required property that is nowhere", R"({"type":"object","required":["a"]})",
       R"({"type":"object","required":["a"],"properties":{"a":{}},"additionalProperties":true})"},
      {"a format beside a choice", R"({"anyOf":[{"type":"string"},{"type":"null"}],"format":"date"})",
       R"({"anyOf":[{"format":"date","type":"string"},{"format":"date","type":"null"}]})"},
      {"formats of which a grammar knows one",
       R"({"allOf":[{"type":"string","format":"email"},{"format":"uuid4"},{"format":"uuid"}]})",
       R"({"type":"string","format":"uuid4"})"},
      {"items of one part for the places of another",
       R"({"allOf":[{"items":{"type":"integer"}},{"prefixItems":[{},{"minimum":1}]}]})",
       R"({"prefixItems":[{"type":"integer"},{"type":"integer","minimum":1}]})"},
      {"tuples of two parts", R"({"allOf":[{"prefixItems":[{"minLength":1}]},{"prefixItems":[{"type":"string"}]}]})",
       R"({"prefixItems":[{"minLength":1,"type":"string"}]})"},
      {"additionalProperties of two parts",
       R"({"allOf":[{"additionalProperties":{"minimum":1}},{"additionalProperties":{"type":"integer"}}]})",
       R"({"additionalProperties":{"type":"integer","minimum":1}})"},
      {"closed and open", R"({"allOf":[{"additionalProperties":true},{"additionalProperties":false}]})",
       R"({"additionalProperties":false})"},
      {"an alternative with a property that is required and forbidden",
       R"({"anyOf":[{"properties":{"a":{}},"required":["b"],"additionalProperties":false},{"type":"null"}]})",
       R"({"anyOf":[{"type":"null"}]})"},
      {"a reference with a title, as pydantic writes it",
       R"({"allOf":[{"$ref":"#/$defs/a"}],"title":"t","$defs":{"a":{"type":"null"}}})",
       R"({"$ref":"#/$defs/a","title":"t","$defs":{"a":{"type":"null"}}})"},
      {"a const that is listed", R"({"allOf":[{"const":1,"enum":[1,2]},{"enum":[2,1]}]})", R"({"enum":[1]})"},
      {"exclusive bounds of draft 4 beside others",
       R"({"type":"integer","allOf":[{"minimum":5},{"minimum":3,"exclusiveMinimum":true}]})",
       R"({"type":"integer","minimum":5})"},
      {"combinations that meet themselves",
       R"({"$ref":"#/$defs/a","$defs":{"a":{"allOf":[{"$ref":"#/$defs/b"},{"properties":{"p":{"$ref":"#/$defs/a"}}}]},)"
       R"("b":{"properties":{"p":{"$ref":"#/$defs/b"}}}}})",
       R"({"$ref":"#/$defs/a","$defs":{"a":{"properties":{"p":{"$ref":"#/$defs/all"}}},)"
       R"("all":{"properties":{"p":{"$ref":"#/$defs/all"}}}}})"},
  };
  for (const auto& test : kCases) EXPECT_EQ(lowered(test.given), test.wanted) << test.name;
}

TEST(LowerSchema, SaysWhyNothingFits) {
  const struct {
    const char* given;
    const char* wanted;
  } kCases[] = {
      {R"({"type":"integer","minimum":5,"maximum":3})", "no integer lies between its bounds"},
      {R"({"type":"integer","exclusiveMinimum":3,"exclusiveMaximum":4})", "no integer lies between its bounds"},
      {R"({"type":"integer","minimum":18446744073709551615})", "beyond 64 bits"},
      {R"({"allOf":[{"enum":["a"]},{"enum":["b"]}]})", "contradict each other"},
      {R"({"allOf":[{"type":"string"},{"type":"null"}]})", "contradict each other"},
      {R"({"type":"string","enum":[1,2]})", "no listed value"},
      {R"({"type":"string","minLength":3,"maxLength":2})", "minLength is above its maxLength"},
      {R"({"type":"array","minItems":3,"maxItems":2})", "minItems is above its maxItems"},
      {R"({"prefixItems":[{}],"minItems":2})", "minItems is above the number"},
      {R"({"properties":{"a":{"type":"string","enum":[1]}},"required":["a"]})", "no listed value"},
      {R"({"properties":{"a":{}},"required":["b"],"additionalProperties":false})", "property \"b\" is required"},
      {R"({"allOf":[{"pattern":"^a$"},{"pattern":"^b$"}]})", "two patterns"},
      {R"({"properties":{"a\"b":{}},"additionalProperties":true})", "is not supported"},
      {R"({"$ref":"#/$defs/%zz"})", "nothing is there"},
      {R"({"properties":{"*":{}}})", "is not supported"},
      {R"({"properties":{"a":{"type":"string","enum":[1]}},"additionalProperties":true})", "no value fits property"},
      {R"({"prefixItems":[{}],"maxItems":-1})", "maxItems must be a non-negative integer"},
      {R"({"prefixItems":[{}],"maxItems":null})", "maxItems must be a non-negative integer"},
      {R"({"type":"array","items":{"enum":[1],"type":"null"},"minItems":1})", "no listed value"},
      {R"({"type":"string","minLength":1000000})", "minLength is above 400000"},
      {R"({"allOf":[{"type":"string"},{"enum":"a"}]})", "enum must be a non-empty array"},
      {R"({"allOf":[{"const":1,"enum":[2]},{"const":1}]})", "contradict each other"},
      {R"({"allOf":[{"format":"date"},{"format":"uuid","type":"string"}]})", "contradict each other"},
      {R"([])", "must be an object"},
      {R"({)", "no JSON"},
  };
  for (const auto& test : kCases)
    EXPECT_NE(lowered(test.given).find(test.wanted), std::string::npos) << lowered(test.given);
}

TEST(LowerSchema, EndsSoonWhateverIsCombined) {
  std::string doubling = R"({"$ref":"#/$defs/d0","$defs":{)";
  for (int i = 0; i < 60; ++i) {
    doubling +=
        fmt::format(R"("d{}":{{"allOf":[{{"$ref":"#/$defs/d{}"}},{{"$ref":"#/$defs/d{}"}}]}},)", i, i + 1, i + 1);
  }
  doubling += R"("d60":{}}})";
  EXPECT_NE(lowered(doubling).find("too large"), std::string::npos);
  std::string choices = R"({"allOf":[)";
  for (int i = 0; i < 30; ++i) choices += R"({"anyOf":[{"minimum":1},{"maximum":2}]},)";
  EXPECT_NE(lowered(choices + "{}]}").find("alternatives"), std::string::npos);
  std::string pairs = R"({"$ref":"#/$defs/d0","$defs":{)";
  for (int i = 0; i < 20; ++i) {
    const std::string next = fmt::format(R"({{"$ref":"#/$defs/d{}","type":"object"}})", i + 1);
    pairs += fmt::format(R"("d{}":{{"properties":{{"a":{},"b":{}}}}},)", i, next, next);
  }
  EXPECT_NE(lowered(pairs + R"("d20":{"pattern":"^a$"}}})").find("too large"), std::string::npos);
  std::string copies =
      fmt::format(R"({{"additionalProperties":{{"const":"{}"}},"required":[)", std::string(100'000, 'a'));
  for (int i = 0; i < 1'000; ++i) copies += fmt::format(R"("a{}",)", i);
  EXPECT_NE(lowered(copies + R"("last"]})").find("too large"), std::string::npos);
  std::string places = R"({"allOf":[{"prefixItems":[{}]},{"items":{"enum":[0)";
  for (int i = 1; i < 600; ++i) places += fmt::format(",{}", i);
  places += R"(]}},{"prefixItems":[{})";
  for (int i = 0; i < 1'000; ++i) places += ",{}";
  EXPECT_NE(lowered(places + "]}]}").find("contradict"), std::string::npos);
  std::string nested = R"({"properties":{"o":{"properties":{)";
  for (int i = 0; i < 100; ++i) nested += fmt::format(R"("p{}":{{}},)", i);
  nested.back() = '}';
  nested += "}";
  for (int i = 0; i < 20; ++i)
    nested = fmt::format(R"({{"properties":{{"{}":{}}}}})", std::string(1'000, 'n'), i == 0 ? nested + "}}" : nested);
  EXPECT_NE(lowered(nested).find("names they nest in"), std::string::npos);
  std::string optional = R"({"allOf":[)";
  for (int i = 0; i < 4; ++i) {
    optional += R"({"properties":{)";
    for (int j = 0; j < 60; ++j) optional += fmt::format(R"("p{}_{}":{{}},)", i, j);
    optional += R"("last":{}}},)";
  }
  EXPECT_NE(lowered(optional + "{}]}").find("optional properties"), std::string::npos);
}

TEST(LowerSchema, TakesALongListOfConstantsBesideAType) {
  std::string labelled = R"({"type":"string","oneOf":[)";
  for (int i = 0; i < 100; ++i) labelled += fmt::format(R"({{"const":"v{}","title":"t"}},)", i);
  EXPECT_NE(lowered(labelled + R"({"const":"last"}]})").find("last"), std::string::npos);
}

TEST(LowerTools, GivesDefinitionsOfEachToolTheirOwnNames) {
  const auto tool = [](const char* value) {
    return Json{{"type", "function"},
                {"function",
                 {{"name", "f"},
                  {"parameters",
                   {{"type", "object"},
                    {"properties", {{"a", {{"$ref", "#/$defs/A"}}}}},
                    {"$defs", {{"A", {{"enum", {value}}}}}}}}}}};
  };
  const auto result = lower_tools(Json::array({tool("x"), tool("y")}).dump());
  ASSERT_TRUE(result) << result.error().to_string();
  const Json tools = Json::parse(*result);
  EXPECT_EQ(tools[0]["function"]["parameters"]["properties"]["a"]["$ref"], "#/$defs/A");
  EXPECT_EQ(tools[1]["function"]["parameters"]["properties"]["a"]["$ref"], "#/$defs/Ax2");
  EXPECT_EQ(tools[1]["function"]["parameters"]["$defs"]["Ax2"]["enum"][0], "y");
  EXPECT_EQ(*lower_tools(R"([{"type":"function"},1])"), R"([{"type":"function"},1])");
  EXPECT_EQ(*lower_tools("{}"), "{}");
  EXPECT_FALSE(lower_tools(R"([{"function":{"parameters":{"type":"colour"}}}])"));
}

}  // namespace
}  // namespace llmd::llamacpp
