#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace llmd::modelroute {

/// Which requests a route is for: all that is said must hold, and what is empty holds for all.
struct Match {
  struct Header {
    std::string name;  // in lower case
    std::string value;
    friend bool operator==(const Header&, const Header&) = default;
  };
  std::string model;      // a name, or the beginning of names with '*' behind it
  std::string version;    // that the client asked for, by header or behind an '@' of the model
  std::string sla_class;  // one of the configured
  std::vector<Header> headers{};
  friend bool operator==(const Match&, const Match&) = default;
};

/// Where requests of a route may go.
struct Target {
  std::size_t pool = 0;                   // its number among the pools
  std::string model;                      // what its engines call the model; empty: as the client does
  std::optional<std::uint32_t> weight{};  // of all targets of the route, or of none: then each has the same share
  friend bool operator==(const Target&, const Target&) = default;
};

/// By what requests stay on one target while weights and targets do.
enum class Sticky : std::uint8_t {
  kNo,       // each is drawn
  kSession,  // the session that a header names, else the user
  kUser,     // the fairness id
};

struct Route {
  std::string name;  // unique
  Match match;
  Sticky sticky = Sticky::kNo;
  std::vector<Target> targets;
  friend bool operator==(const Route&, const Route&) = default;
};

/// What a client may be promised. Values stand in for what a request does not say itself, but for the priority.
struct SlaClass {
  std::string name;
  std::optional<std::int32_t> priority{};  // in place of the request's own
  std::optional<float> slo_ttft_ms{};
  std::optional<float> slo_tpot_ms{};
  friend bool operator==(const SlaClass&, const SlaClass&) = default;
};

inline constexpr std::size_t kRoutesMax = 256;
inline constexpr std::size_t kTargetsMax = 16;  // of a route
inline constexpr std::size_t kHeadersMax = 8;   // of a match
inline constexpr std::size_t kSlaClassesMax = 32;
inline constexpr std::uint32_t kWeightMax = 1'000'000;  // as in InferenceModelRewrite

}  // namespace llmd::modelroute
