#include "discovery/address_policy.h"

#include <gtest/gtest.h>

namespace llmd::discovery {
namespace {

TEST(AddressPolicy, LetsOrdinaryAddressesBeEndpoints) {
  for (const char* ip :
       {"10.0.0.1", "192.168.1.7", "100.64.0.9", "8.8.8.8", "fd00::7", "2001:db8::1", "::ffff:10.0.0.1"})
    EXPECT_TRUE(AddressPolicy{}.check(ip)) << ip;
}

TEST(AddressPolicy, RefusesWhatOnlyThisMachineReaches) {
  for (const char* ip :
       {"127.0.0.1", "127.8.9.10", "169.254.169.254", "::1", "fe80::1", "febf::1", "::ffff:127.0.0.1", "::127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::"}) {
    const auto checked = AddressPolicy{}.check(ip);
    ASSERT_FALSE(checked) << ip;
    EXPECT_EQ(checked.error().code, ErrorCode::kAddressInvalid);
    EXPECT_TRUE(AddressPolicy{.allows_local = true}.check(ip)) << ip;
  }
}

TEST(AddressPolicy, RefusesWhatNoEndpointCanHaveWhateverIsAllowed) {
  for (const char* ip : {"0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "239.255.255.255", "ff02::1", "255.255.255.255",
                         "::ffff:0.0.0.0", "", "pod-a", "10.0.0.1:80", "[::1]", "fe80::1%eth0", "10.0.0", "1.2.3.4.5"})
    EXPECT_FALSE(AddressPolicy{.allows_local = true}.check(ip)) << ip;
  EXPECT_FALSE(AddressPolicy{.allows_local = true}.check(std::string(1'000, '1')));
}

TEST(AddressPolicy, BracketsIpv6InAuthorities) {
  EXPECT_EQ(authority("10.0.0.1", 8000), "10.0.0.1:8000");
  EXPECT_EQ(authority("fd00::7", 80), "[fd00::7]:80");
}

}  // namespace
}  // namespace llmd::discovery
