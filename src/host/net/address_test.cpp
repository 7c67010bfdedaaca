#include "net/address.h"

#include <gtest/gtest.h>

#include <vector>

namespace llmd::net {
namespace {

struct Case {
  std::string text;
  std::string canonical;  // empty: refused
  bool loopback = false;
};

TEST(Address, ReadsTheFourFormsAndRefusesOthers) {
  const std::vector<Case> cases{
      {"127.0.0.1:8080", "127.0.0.1:8080", true},
      {"localhost:0", "localhost:0", true},
      {"[::1]:80", "[::1]:80", true},
      {"http://worker-1.example:8000/", "worker-1.example:8000", false},
      {"http://10.0.0.1", "10.0.0.1:80", false},
      {"unix:/run/llmd.sock", "unix:/run/llmd.sock", true},
      {"0.0.0.0:65535", "0.0.0.0:65535", false},
      {"", ""},
      {":80", ""},
      {"host", ""},
      {"host:", ""},
      {"host:65536", ""},
      {"host:-1", ""},
      {"host:8x", ""},
      {"[fe80::1%eth0]:80", "[fe80::1%eth0]:80", false},
      {"http://unix:80", "http://unix:80", false},
      {"[::1", ""},
      {"[%]:80", ""},
      {"[::1%]:80", ""},
      {"[host]:80", ""},
      {std::string{"[::1\0]:80", 9}, ""},
      {"[::1]80", ""},
      {"::1:80", ""},
      {"http://host:80/path", ""},
      {"https://host:443", ""},
      {"ho st:80", ""},
      {"unix:", ""},
      {"unix:/" + std::string(200, 'x'), ""},
  };
  for (const Case& c : cases) {
    const auto address = Address::parse(c.text);
    EXPECT_EQ(address.has_value(), !c.canonical.empty()) << c.text;
    if (!address) {
      EXPECT_EQ(address.error().code, ErrorCode::kAddressInvalid) << c.text;
      continue;
    }
    EXPECT_EQ(address->to_string(), c.canonical) << c.text;
    EXPECT_EQ(address->is_loopback(), c.loopback) << c.text;
    EXPECT_EQ(Address::parse(address->to_string()).value(), *address) << c.text;
  }
}

TEST(Address, TakesHttpsWhereItIsAskedFor) {
  for (const auto& [text, canonical] :
       {std::pair{"https://host", "https://host:443"}, std::pair{"https://[::1]:8443/", "https://[::1]:8443"}}) {
    const auto address = Address::parse_url(text);
    ASSERT_TRUE(address) << text;
    EXPECT_TRUE(address->tls);
    EXPECT_EQ(address->to_string(), canonical);
    EXPECT_EQ(Address::parse_url(address->to_string()).value(), *address);
  }
  EXPECT_FALSE(Address::parse_url("http://host").value().tls);
  EXPECT_FALSE(Address::parse_url("https://"));
}

TEST(Address, SaysWhatIsWrongAndHowToWriteIt) {
  EXPECT_EQ(Address::parse("host").error().to_string(),
            "address_invalid: address \"host\": the port is missing (write HOST:PORT, [IPV6]:PORT, http://HOST:PORT or "
            "unix:/path)");
}

}  // namespace
}  // namespace llmd::net
