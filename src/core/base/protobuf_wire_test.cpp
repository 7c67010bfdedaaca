#include "base/protobuf_wire.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>

namespace llmd {
namespace {

TEST(Wire, ReadsWhatItWrites) {
  const std::string inner = WireWriter{}.bytes(1, "x").text();
  const std::string message = WireWriter{}
                                  .varint(1, 0)
                                  .varint(2, std::numeric_limits<std::uint64_t>::max())
                                  .bytes(3, inner)
                                  .fixed64(4, -2.5)
                                  .bytes(536'870'911, "")
                                  .text();
  WireReader reader{message};
  std::vector<WireReader::Field> fields;
  for (WireReader::Field field; reader.next(field);) fields.push_back(field);
  ASSERT_FALSE(reader.broken());
  ASSERT_EQ(fields.size(), 5U);
  EXPECT_EQ(fields[0].value, 0U);
  EXPECT_EQ(fields[1].value, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(fields[2].bytes, inner);
  EXPECT_EQ(std::bit_cast<double>(fields[3].value), -2.5);
  EXPECT_EQ(fields[4].number, 536'870'911U);
  EXPECT_EQ(fields[4].type, WireReader::Type::kBytes);
}

TEST(Wire, RefusesWhatIsNoMessage) {
  using namespace std::string_view_literals;
  for (const std::string_view bytes : {"\x0a\x05"
                                       "abc"sv,                                               // shorter than it says
                                       "\x08"sv,                                              // no number
                                       "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv,  // one that is too long
                                       "\x0b\x08"sv,                                          // a group
                                       "\x00\x01"sv,                                          // field 0
                                       "\x09\x01\x02"sv, "\x0d\x01"sv}) {
    WireReader reader{bytes};
    WireReader::Field field;
    while (reader.next(field)) continue;
    EXPECT_TRUE(reader.broken()) << testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace llmd
