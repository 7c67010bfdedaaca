#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmd::config {

/// Which series of a Prometheus page is meant: name{label=value,...}, as core-metrics-extractor's parameters write it.
struct MetricSpec {
  struct Label {
    std::string name;
    std::string value;
    friend bool operator==(const Label&, const Label&) = default;
  };
  std::string name;           // empty: none is meant
  std::vector<Label> labels;  // a series must have all of them
  friend bool operator==(const MetricSpec&, const MetricSpec&) = default;
};

/// Values may stand in quotes or without. Empty text is an empty spec. Error kConfigInvalid: not of the form, or a name
/// that Prometheus does not allow. The text comes from a configuration and may be anything.
[[nodiscard]] Result<MetricSpec> parse_metric_spec(std::string_view text);

}  // namespace llmd::config
