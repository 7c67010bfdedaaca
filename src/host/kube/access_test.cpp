#include "kube/access.h"

#include <gtest/gtest.h>

namespace llmd::kube {
namespace {

constexpr std::string_view kConfig = R"(
apiVersion: v1
kind: Config
current-context: here
contexts:
- {name: there, context: {cluster: b, user: v}}
- {name: here, context: {cluster: a, user: u, namespace: models}}
clusters:
- {name: a, cluster: {server: "https://10.0.0.1:6443", certificate-authority-data: cGVt, tls-server-name: kube}}
users:
- {name: u, user: {token: secret, tokenFile: token}}
)";

TEST(Access, ReadsTheCurrentContext) {
  const auto access = read_kubeconfig(kConfig, "/etc/kube/config");
  ASSERT_TRUE(access) << access.error().to_string();
  EXPECT_EQ(access->server.host, "10.0.0.1");
  EXPECT_EQ(access->server.port, 6443);
  EXPECT_TRUE(access->server.tls);
  EXPECT_EQ(access->ca, "pem");
  EXPECT_EQ(access->server_name, "kube");
  EXPECT_EQ(access->token, "secret");
  EXPECT_EQ(access->token_file, "/etc/kube/token");
  EXPECT_EQ(access->ns, "models");
}

TEST(Access, AnErrorNamesFileAndWhatIsWrong) {
  const auto refused = [](std::string_view from, std::string_view to) {
    std::string text{kConfig};
    text.replace(text.find(from), from.size(), to);
    const auto access = read_kubeconfig(text, "kc");
    return access ? std::string{} : access.error().what;
  };
  EXPECT_EQ(refused("current-context: here", "current-context: nowhere"), "kc: there is no context named \"nowhere\"");
  EXPECT_EQ(refused("current-context: here", "current-context: there"), "kc: there is no cluster named \"b\"");
  EXPECT_EQ(refused("token: secret", "exec: {}"), "kc: the user has exec, which is not supported");
  EXPECT_EQ(refused("cGVt", "\"***\""), "kc: certificate-authority-data is not base64");
  EXPECT_FALSE(read_kubeconfig("- a", "kc"));
  EXPECT_FALSE(read_kubeconfig("{", "kc"));
}

}  // namespace
}  // namespace llmd::kube
