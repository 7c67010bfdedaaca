#include "net/hop_by_hop.h"

#include <gtest/gtest.h>

#include <string>

namespace llmd::net {
namespace {

TEST(HopByHop, EndToEndFieldsGoOnInTheirOrder) {
  Headers headers;
  for (const auto& [name, value] : {std::pair{"Host", "h"},
                                    {"X-One", "1"},
                                    {"Connection", "close, x-private"},
                                    {"X-Private", "2"},
                                    {"Content-Length", "3"},
                                    {"TE", "trailers"},
                                    {"Expect", "100-continue"},
                                    {"x-one", "4"}})
    headers.add(name, value);
  std::string kept;
  for (const auto& [name, value] : end_to_end(headers)) kept += name + "=" + value + ";";
  EXPECT_EQ(kept, "X-One=1;x-one=4;");
}

}  // namespace
}  // namespace llmd::net
