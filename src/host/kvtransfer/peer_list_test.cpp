#include "kvtransfer/peer_list.h"

#include <gtest/gtest.h>

namespace llmd::kvtransfer {
namespace {

bool allowed(const std::vector<std::string>& entries, const std::string& peer) {
  const auto list = PeerList::parse(entries);
  EXPECT_TRUE(list.has_value()) << list.error().to_string();
  const auto address = net::Address::parse(peer);
  EXPECT_TRUE(address.has_value()) << peer;
  const auto checked = list->check(*address);
  EXPECT_TRUE(checked || checked.error().code == ErrorCode::kPeerNotAllowed);
  return checked.has_value();
}

TEST(PeerList, AllowsWhatItNamesAndNothingElse) {
  const struct {
    std::string name;
    std::vector<std::string> entries;
    std::string peer;
    bool allowed;
  } cases[] = {
      {"empty list", {}, "127.0.0.1:80", false},
      {"host with any port", {"10.1.2.3"}, "10.1.2.3:99", true},
      {"host with its port", {"10.1.2.3:99"}, "10.1.2.3:99", true},
      {"host with another port", {"10.1.2.3:99"}, "10.1.2.3:98", false},
      {"name without case", {"Prefill-0.svc"}, "prefill-0.SVC:1", true},
      {"another name", {"prefill-0"}, "prefill-0.evil:1", false},
      {"network", {"10.0.0.0/9"}, "10.127.0.1:1", true},
      {"outside the network", {"10.0.0.0/9"}, "10.128.0.1:1", false},
      {"a name is in no network", {"0.0.0.0/0"}, "localhost:1", false},
      {"all of v4 is nothing of v6", {"0.0.0.0/0"}, "[::1]:1", false},
      {"network of v6", {"fd00::/8"}, "[fdaa::1]:1", true},
      {"bracketed v6", {"[::1]"}, "[::1]:5", true},
      {"bracketed v6 with port", {"[::1]:5"}, "[::1]:6", false},
      {"socket", {"unix:/run/a.sock"}, "unix:/run/a.sock", true},
      {"another socket", {"unix:/run/a.sock"}, "unix:/run/a.sock2", false},
      {"below a folder", {"unix:/run/llmd/"}, "unix:/run/llmd/x/kv", true},
      {"beside a folder", {"unix:/run/llmd/"}, "unix:/run/llmd2/kv", false},
      {"out of a folder", {"unix:/run/llmd/"}, "unix:/run/llmd/../evil", false},
      {"relative", {"unix:/run/llmd/"}, "unix:kv", false},
      {"unix is no host", {"localhost"}, "unix:/localhost", false},
  };
  for (const auto& row : cases) EXPECT_EQ(allowed(row.entries, row.peer), row.allowed) << row.name;
}

TEST(PeerList, RefusesEntriesThatCannotBeMeant) {
  for (const std::string entry : {"", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "host:99999", "host:", "http://host:1",
                                  "unix:relative", "unix:/a/../b", "10.0.0.0/8x", "a b"}) {
    const auto list = PeerList::parse(std::vector<std::string>{entry});
    ASSERT_FALSE(list.has_value()) << entry;
    EXPECT_EQ(list.error().code, ErrorCode::kConfigInvalid) << entry;
  }
}

}  // namespace
}  // namespace llmd::kvtransfer
