// links: llmd_cel
// Whatever the text, it compiles or is refused with a place; what compiles gives a value of its type, or an error,
// whichever fields are there.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string_view>

#include "cel/expression.h"

namespace {

using llmd::cel::FieldSpec;
using llmd::cel::Type;
using llmd::cel::Value;

constexpr std::array<FieldSpec, 4> kSchema{FieldSpec{"usage.prompt_tokens", Type::kNumber},
                                           FieldSpec{"usage.details.cached_tokens", Type::kNumber},
                                           FieldSpec{"r.i", Type::kInt}, FieldSpec{"r.s", Type::kString}};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto expression = llmd::cel::Expression::compile(text, kSchema);
  if (!expression) {
    const char first = expression.error().what.front();
    if (expression.error().code != llmd::ErrorCode::kConfigInvalid || first < '1' || first > '9') std::abort();
    return 0;
  }
  for (unsigned present = 0; present < 16; ++present) {
    std::array<std::optional<Value>, 4> fields;
    if ((present & 1U) != 0) fields[0] = Value::of_int(17);
    if ((present & 2U) != 0) fields[1] = Value::of_int(0);
    if ((present & 4U) != 0) fields[2] = Value::of_int(std::numeric_limits<std::int64_t>::min());
    if ((present & 8U) != 0) fields[3] = Value::of_string("text");
    const auto value = expression->evaluate(fields);
    const Type expected = expression->type() == Type::kNumber ? Type::kInt : expression->type();
    if (value && value->type() != expected) std::abort();
  }
  return 0;
}
