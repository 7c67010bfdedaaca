#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmd::discovery {

/// What of Kubernetes' objects decides where requests go (Gateway API Inference Extension: api/v1,
/// apix/v1alpha2; llm-d-router: apix/v1alpha2). Each reader takes one object as JSON and fails with kConfigInvalid,
/// naming object and field: a field of another type than the resource definition says, a value out of its range, or
/// more of something than the bounds below. Unknown fields are ignored. Thread-safe; no I/O.

inline constexpr std::string_view kPoolGroup = "inference.networking.k8s.io";
inline constexpr std::string_view kOldGroup = "inference.networking.x-k8s.io";  // of pools, objectives and rewrites
inline constexpr std::string_view kLlmDGroup = "llm-d.ai";                      // of objectives and rewrites

inline constexpr std::size_t kObjectBytesMax = 4 * 1024 * 1024;  // etcd holds 1.5 MiB
inline constexpr std::size_t kLabelsMax = 1'024;                 // of one object
inline constexpr std::size_t kPortsMax = 8;                      // of a pool, as its definition says
inline constexpr std::size_t kRulesMax = 1'024;                  // of one rewrite; and matches, and targets, of a rule

/// Which pods serve, and where.
struct InferencePool {
  std::map<std::string, std::string> selector;  // labels that a pod must have; empty: any pod of the namespace
  std::vector<std::uint16_t> ports;             // each makes one endpoint of a pod
  std::string app_protocol{};                   // "http", "kubernetes.io/h2c"; empty: not said
  bool leaving = false;                         // it is being deleted

  friend bool operator==(const InferencePool&, const InferencePool&) = default;
};

struct Pod {
  std::string name_space;
  std::string name;
  std::map<std::string, std::string> labels;
  std::optional<std::string> active_ports;  // annotation llm-d.ai/active-ports, or its older name
  std::string ip;                           // empty: not known yet
  bool ready = false;                       // its condition says so, and it is not being deleted
};

/// Which pool an object is about.
struct PoolRef {
  std::string group;
  std::string name;

  friend bool operator==(const PoolRef&, const PoolRef&) = default;
};

struct InferenceObjective {
  std::string name;
  PoolRef pool;
  int priority = 0;
  bool leaving = false;
};

struct RewriteTarget {
  std::string model;
  std::optional<std::uint32_t> weight;  // 1 to 1,000,000
};

struct RewriteRule {
  std::vector<std::string> models;  // that it is for; empty: all
  std::vector<RewriteTarget> targets;
};

struct InferenceModelRewrite {
  std::string name;
  PoolRef pool;
  std::string created;  // RFC 3339 in UTC, to the second: in the order of texts
  std::vector<RewriteRule> rules;
  bool leaving = false;
};

/// Both shapes: of v1, and of the older group's v1alpha2 (`selector` is the labels, `targetPortNumber` the one port).
[[nodiscard]] Result<InferencePool> read_pool(std::string_view json);
[[nodiscard]] Result<Pod> read_pod(std::string_view json);
[[nodiscard]] Result<InferenceObjective> read_objective(std::string_view json);
[[nodiscard]] Result<InferenceModelRewrite> read_rewrite(std::string_view json);

}  // namespace llmd::discovery
