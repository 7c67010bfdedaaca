#include "routing/subset.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace llmd::routing {
namespace {

using Marks = std::vector<std::uint8_t>;

EndpointSnapshot pool_of(const std::vector<std::string>& urls) {
  EndpointSnapshot snapshot;
  for (const std::string& url : urls) {
    snapshot.endpoints.push_back({.endpoint = std::make_shared<const Endpoint>(Endpoint{.name = url, .url = url})});
  }
  return snapshot;
}

Marks marks_of(const std::vector<std::string_view>& subset) {
  static const EndpointSnapshot kPool = pool_of({"http://10.0.0.1:8000", "http://10.0.0.1:8001", "http://10.0.0.2:8000",
                                                 "http://[fd00::1]:8000", "unix:/run/a.sock"});
  Marks marks;
  mark_subset(kPool, subset, marks);
  return marks;
}

TEST(Subset, NamesEndpointsByAddressAndPort) {
  EXPECT_EQ(marks_of({"10.0.0.1:8001"}), (Marks{0, 1, 0, 0, 0}));
  EXPECT_EQ(marks_of({"10.0.0.2:8000", "[fd00::1]:8000"}), (Marks{0, 0, 1, 1, 0}));
}

TEST(Subset, APortThatNoEndpointHasMeansTheAddress) {
  EXPECT_EQ(marks_of({"10.0.0.1:80"}), (Marks{1, 1, 0, 0, 0}));
  EXPECT_EQ(marks_of({"10.0.0.1"}), (Marks{1, 1, 0, 0, 0}));
  EXPECT_EQ(marks_of({"fd00::1"}), (Marks{0, 0, 0, 1, 0}));
}

TEST(Subset, ListsMayBeJoinedWithCommas) {
  EXPECT_EQ(marks_of({"10.0.0.2:8000, 10.0.0.1:8000,"}), (Marks{1, 0, 1, 0, 0}));
}

TEST(Subset, NothingIsNobody) {
  EXPECT_EQ(marks_of({}), (Marks{0, 0, 0, 0, 0}));
  EXPECT_EQ(marks_of({"", ",,", "192.168.1.1:1", "[", ":", "unix:/run/a.sock"}), (Marks{0, 0, 0, 0, 0}));
}

}  // namespace
}  // namespace llmd::routing
