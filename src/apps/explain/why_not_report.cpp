#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "apps/explain/report.h"
#include "apps/explain/report_parts.h"

namespace llmd::explain {
namespace {

constexpr const char* kHowToHaveAll = "send it with the header x-llmd-explain: 1 to have all recorded next time";

std::string gaps_text(const Json& verdict, const std::string& endpoint, const std::string& chosen) {
  constexpr std::size_t kNameWidthMax = 24;
  const std::string own = shortened(endpoint, kNameWidthMax);
  const std::string other = shortened(chosen, kNameWidthMax);
  const std::size_t width = std::max<std::size_t>({own.size(), other.size(), 7});
  std::size_t scorer_width = 6;
  for (const Json& gap : verdict.at("scorers")) scorer_width = std::max(scorer_width, text(gap, "scorer").size());
  std::string out =
      fmt::format("  {:<{}}  weight  {:>{}}  {:>{}}  difference\n", "scorer", scorer_width, own, width, other, width);
  for (const Json& gap : verdict.at("scorers")) {
    out += fmt::format("  {:<{}}  {:>6g}  {:>{}.3f}  {:>{}.3f}  {:>+10.3f}", text(gap, "scorer"), scorer_width,
                       gap.at("weight").get<double>(), gap.at("score").get<double>(), width,
                       gap.at("chosen_score").get<double>(), width, gap.at("difference").get<double>());
    if (const std::string metric = metric_text(gap); !metric.empty()) out += fmt::format("  its metric{}", metric);
    if (gap.value("chosen_metric_missing", false)) out += "  the other has no fresh metric";
    out += '\n';
  }
  if (!verdict.at("predicted").is_null())
    out += fmt::format("  predicted: {}\n", predicted_text(verdict.at("predicted")));
  if (!verdict.at("chosen_predicted").is_null())
    out += fmt::format("  of {}: {}\n", chosen, predicted_text(verdict.at("chosen_predicted")));
  return out;
}

/// One sentence a verdict, then what is behind it.
std::string verdict_text(const Json& verdict, const std::string& endpoint, bool brief) {
  const std::string kind = text(verdict, "verdict");
  const std::string chosen = text(verdict, "chosen");
  const std::string start = fmt::format("profile {}: {} ", text(verdict, "profile"), endpoint);
  if (kind == "chosen") return start + "was chosen\n";
  if (kind == "filtered")
    return start + fmt::format("was filtered by {}: {}\n", text(verdict, "filter"), text(verdict, "reason"));
  if (kind == "not_there") return start + "was not in the pool when this was decided\n";
  if (kind == "not_recorded") {
    return start + (brief
                        ? fmt::format("is not recorded, as only {} and the runner-up are; {}\n", chosen, kHowToHaveAll)
                        : std::string{"is not among the endpoints that are recorded; there were too many\n"});
  }
  const double own_total = verdict.at("total").get<double>();
  const double chosen_total = verdict.at("chosen_total").get<double>();
  std::string out = start;
  if (kind == "tied") {
    out += fmt::format("was as good as {} ({:.3f}), and the picker {} breaks ties by chance\n", chosen, own_total,
                       text(verdict, "picker"));
  } else if (kind == "passed_over") {
    out += fmt::format("scored {:.3f}, more than the {:.3f} of {}, but {} does not go by points alone\n", own_total,
                       chosen_total, chosen, text(verdict, "picker"));
  } else {
    out += fmt::format("scored {:.3f}, {:.3f} less than {}, which was chosen\n", own_total, chosen_total - own_total,
                       chosen);
  }
  return out + gaps_text(verdict, endpoint, chosen);
}

Error unclear(const Json& answer) {
  const std::string asked = text(answer, "asked");
  const auto meant = answer.at("meant").get<std::vector<std::string>>();
  if (!meant.empty())
    return {.code = ErrorCode::kNotFound,
            .what = fmt::format("more than one endpoint is meant by \"{}\"", asked),
            .hint = fmt::format("write more of {}", fmt::join(meant, ", "))};
  return {.code = ErrorCode::kNotFound,
          .what = fmt::format("no endpoint is meant by \"{}\"", asked),
          .hint = text(answer, "hint")};
}

}  // namespace

Result<std::string> report_why_not(std::string_view json) {
  try {
    const Json answer = Json::parse(json);
    if (answer.at("endpoint").is_null()) return std::unexpected(unclear(answer));
    const std::string endpoint = text(answer, "endpoint");
    if (answer.at("profiles").empty())
      return fmt::format("request {} was refused before any endpoint was looked at\n", text(answer, "request_id"));
    std::string out;
    for (const Json& verdict : answer.at("profiles"))
      out += verdict_text(verdict, endpoint, text(answer, "detail") == "brief");
    return out;
  } catch (const Json::exception& error) {
    return fail(ErrorCode::kProtocol, fmt::format("the answer of the admin socket tells no reasons: {}", error.what()));
  }
}

}  // namespace llmd::explain
