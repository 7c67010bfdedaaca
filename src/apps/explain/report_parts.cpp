#include "apps/explain/report_parts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "base/stable_sort.h"

namespace llmd::explain {
namespace {

constexpr std::size_t kNameWidthMax = 30;
constexpr std::size_t kRowsMax = 12;     // candidates; JSON has more
constexpr std::size_t kColumnsMax = 6;   // scorers
constexpr std::size_t kFilteredMax = 6;  // names of one reason
constexpr std::size_t kLineMax = 110;

/// The items behind `start`, with commas, in lines of up to kLineMax columns; nothing if there are none.
std::string listed(std::string start, std::span<const std::string> items) {
  if (items.empty()) return "";
  const std::string indent(start.size() - std::string_view{start}.substr(start.find_first_not_of(' ')).size() + 2, ' ');
  std::string out;
  std::string line = std::move(start);
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (line.size() + items[i].size() > kLineMax && line.size() > indent.size()) {
      out += line + '\n';
      line = indent;
      line.pop_back();
    }
    line += ' ' + items[i] + (i + 1 < items.size() ? "," : "");
  }
  return out + line + '\n';
}

/// A scorer of a table: its place among the parts, and how far apart it sets the candidates.
struct Column {
  std::size_t part = 0;
  double apart = 0;  // greatest difference, weighted
};

std::vector<Column> columns_of(const Json& candidates) {
  std::vector<Column> columns;
  for (std::size_t s = 0; s < candidates.front().at("parts").size(); ++s) {
    const auto weighted = [&](const Json& candidate) {
      return candidate.at("parts").at(s).at("weighted").get<double>();
    };
    double least = weighted(candidates.front());
    double most = least;
    for (const Json& candidate : candidates) {
      least = std::min(least, weighted(candidate));
      most = std::max(most, weighted(candidate));
    }
    columns.push_back({.part = s, .apart = most - least});
  }
  stable_sort(columns, [](const Column& a, const Column& b) { return a.apart > b.apart; });
  return columns;
}

/// "a queue-scorer x 2, b prefix-cache-scorer x 3", and the scorers without a column with what they gave.
std::string legend(const Json& parts, std::span<const Column> shown, std::span<const Column> others) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const Json& part = parts.at(shown[i].part);
    names.push_back(
        fmt::format("{} {} x {:g}", static_cast<char>('a' + i), text(part, "scorer"), part.at("weight").get<double>()));
  }
  std::string out = listed("     scores:", names);
  std::vector<std::string> less_apart;
  names.clear();
  for (const Column& column : others) {
    const Json& part = parts.at(column.part);
    const double weight = part.at("weight").get<double>();
    if (column.apart > 0) {
      less_apart.push_back(fmt::format("{} x {:g}", text(part, "scorer"), weight));
      continue;
    }
    names.push_back(fmt::format("{} {:.3f}{} x {:g}", text(part, "scorer"), part.at("score").get<double>(),
                                part.contains("metric_missing") ? "?" : "", weight));
  }
  return out + listed("     less apart, not shown:", less_apart) + listed("     alike for all:", names);
}

/// What a row of the table shows beside the scores.
struct Extras {
  std::size_t name_width = 8;
  bool ages = false;
  bool predictions = false;
  bool missing = false;
};

std::int64_t oldest_metric_ms(const Json& candidate) {
  std::int64_t oldest = -1;
  for (const Json& part : candidate.at("parts"))
    oldest = std::max(oldest, part.value("metric_age_ms", std::int64_t{-1}));
  return oldest;
}

Extras extras_of(const Json& candidates) {
  Extras extras;
  for (const Json& candidate : candidates) {
    extras.name_width = std::clamp(text(candidate, "endpoint").size(), extras.name_width, kNameWidthMax);
    extras.ages |= oldest_metric_ms(candidate) >= 0;
    extras.predictions |= !candidate.at("predicted").is_null();
    for (const Json& part : candidate.at("parts")) extras.missing |= part.value("metric_missing", false);
  }
  return extras;
}

std::string row(const Json& candidate, std::string_view chosen, std::span<const Column> columns, const Extras& extras) {
  const std::string name = text(candidate, "endpoint");
  std::string out = fmt::format("  {} {:<{}}  {:>8.3f}", name == chosen ? "->" : "  ", shortened(name, kNameWidthMax),
                                extras.name_width, candidate.at("total").get<double>());
  for (const Column& column : columns) {
    const Json& part = candidate.at("parts").at(column.part);
    out += fmt::format("  {:>5.3f}{}", part.at("score").get<double>(), part.contains("metric_missing") ? '?' : ' ');
  }
  if (extras.ages) {
    const std::int64_t age = oldest_metric_ms(candidate);
    out += age < 0 ? fmt::format("{:>8}", "-") : fmt::format("{:>8}", age);
  }
  if (!extras.predictions) return out + '\n';
  const Json& predicted = candidate.at("predicted");
  const auto number = [&](const char* name_of) {
    return predicted.is_null() || !predicted.contains(name_of)
               ? fmt::format("{:>9}", "-")
               : fmt::format("{:>9.1f}", predicted.at(name_of).get<double>());
  };
  return out + number("ttft_ms") + number("tpot_ms") + '\n';
}

std::string table(const Json& profile) {
  const Json& candidates = profile.at("candidates");
  if (candidates.empty()) return "";
  const std::string chosen = text(profile, "chosen");
  const std::vector<Column> columns = columns_of(candidates);
  const auto differ =
      static_cast<std::size_t>(std::ranges::count_if(columns, [](const Column& column) { return column.apart > 0; }));
  const auto shown = std::span{columns}.first(std::min(differ, kColumnsMax));
  const Extras extras = extras_of(candidates);
  std::string out = legend(candidates.front().at("parts"), shown, std::span{columns}.subspan(shown.size()));
  out += fmt::format("     {:<{}}  {:>8}", "endpoint", extras.name_width, "total");
  for (std::size_t i = 0; i < shown.size(); ++i) out += fmt::format("  {:>5} ", static_cast<char>('a' + i));
  if (extras.ages) out += "  age ms";
  if (extras.predictions) out += "  TTFT ms  TPOT ms";
  out += '\n';
  std::size_t rows = 0;
  for (const Json& candidate : candidates) {
    if (rows++ < kRowsMax || text(candidate, "endpoint") == chosen) out += row(candidate, chosen, shown, extras);
  }
  const auto total = profile.at("candidates_total").get<std::size_t>();
  if (const std::size_t told = std::min(rows, kRowsMax); total > told)
    out += fmt::format("     and {} more candidates\n", total - told);
  if (extras.missing) out += "     ?: no fresh metric, so the mean of the others counts\n";
  return out;
}

std::string filtered_text(const Json& profile) {
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> names;  // by filter and reason
  for (const Json& gone : profile.at("filtered"))
    names[{text(gone, "filter"), text(gone, "reason")}].push_back(text(gone, "endpoint"));
  std::string out;
  for (auto& [why, endpoints] : names) {
    const std::size_t more = endpoints.size() - std::min(endpoints.size(), kFilteredMax);
    endpoints.resize(endpoints.size() - more);
    out += fmt::format("   x {}: {}: {}{}\n", why.first, why.second, fmt::join(endpoints, ", "),
                       more == 0 ? "" : fmt::format(" and {} more", more));
  }
  const auto total = profile.at("filtered_total").get<std::size_t>();
  if (const std::size_t told = profile.at("filtered").size(); total > told)
    out += fmt::format("   x {}{} filtered, of which no reason was written down\n", total - told,
                       told == 0 ? "" : " more");
  return out;
}

std::string runner_up_text(const Json& profile) {
  const Json& runner_up = profile.at("runner_up");
  if (runner_up.is_null()) return "";
  const double behind = runner_up.at("behind").get<double>();
  std::string out = fmt::format("  runner-up {}", text(runner_up, "endpoint"));
  if (behind == 0) return out + ": as good; the picker breaks ties by chance\n";
  out += behind > 0 ? fmt::format(", {:.3f} behind:", behind)
                    : fmt::format(", {:.3f} ahead, but the choice does not go by points alone:", -behind);
  std::vector<std::string> reasons;
  for (const Json& reason : runner_up.at("because"))
    reasons.push_back(fmt::format("{} {:+.3f}", text(reason, "scorer"), reason.at("difference").get<double>()));
  return listed(std::move(out), reasons);
}

/// Whom others would have taken, those of one mind together.
std::string others_text(const Json& profile) {
  const std::string chosen = text(profile, "chosen");
  std::string out;
  for (const Json& other : profile.at("others")) {
    const std::string endpoint = text(other, "endpoint");
    out += fmt::format("  {} would have taken {}", text(other, "policy"), endpoint);
    if (endpoint == chosen) {
      out += ", too";
    } else if (!other.at("predicted").is_null()) {
      out += ": " + predicted_text(other.at("predicted"));
    }
    out += '\n';
  }
  return out;
}

}  // namespace

std::string text(const Json& object, const char* name) { return object.at(name).get<std::string>(); }

std::string predicted_text(const Json& predicted) {
  if (predicted.is_null()) return "nothing";
  const auto number = [&](const char* name) { return predicted.at(name).get<double>(); };
  std::string out = fmt::format("first token after {:.1f} ± {:.1f} ms", number("ttft_ms"), number("ttft_deviation_ms"));
  if (predicted.contains("tpot_ms"))
    out += fmt::format(", {:.1f} ± {:.1f} ms a token", number("tpot_ms"), number("tpot_deviation_ms"));
  return out;
}

std::string metric_text(const Json& part, const std::string& prefix) {
  std::string out;
  if (part.value(prefix + "metric_missing", false)) out += " (no fresh metric)";
  if (const auto age = part.value(prefix + "metric_age_ms", std::int64_t{-1}); age >= 0)
    out += fmt::format(" ({} ms old)", age);
  return out;
}

std::string shortened(std::string_view name, std::size_t width) {
  if (name.size() <= width) return std::string{name};
  name.remove_prefix(name.size() - (width - 2));
  while (!name.empty() && (static_cast<unsigned char>(name.front()) & 0xC0U) == 0x80U) name.remove_prefix(1);
  return fmt::format("..{}", name);
}

std::string profile_text(const Json& profile) {
  const std::string chosen = text(profile, "chosen");
  std::string out = fmt::format("profile {}: {} of {} candidates (picker {}{})\n", text(profile, "profile"),
                                chosen.empty() ? "nothing left to choose" : chosen,
                                profile.at("candidates_total").get<std::uint64_t>(), text(profile, "picker"),
                                profile.contains("arm") ? ", weights of arm " + text(profile, "arm") : "");
  return out + table(profile) + filtered_text(profile) + runner_up_text(profile) + others_text(profile);
}

}  // namespace llmd::explain
