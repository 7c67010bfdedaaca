#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "simulation/workload.h"
#include "simulation/workloads/recorded_row.h"

namespace llmd::simulation {

/// A log that a gateway recorded, replayed as it was: the requests that were served, or left by their client, at their
/// times, with their lengths, shared blocks, priorities, objectives, sessions and fairness ids. As in a Mooncake trace
/// the blocks of answers have names of their own, so that a later prompt which holds an answer hits as far as the
/// prompt before it goes.
class RecordedLog final : public Workload {
 public:
  /// Puts the rows in order of their arrival (a gateway writes them as they end) and leaves out those that were refused
  /// or failed. Error kFileInvalid: blocks of two sizes, or nothing to replay. The endpoints that answered get places
  /// by their names, worker-2 before worker-10.
  [[nodiscard]] static Result<std::shared_ptr<const std::vector<RecordedRow>>> in_order(std::vector<RecordedRow> rows);

  /// Pre: what in_order() gave.
  explicit RecordedLog(std::shared_ptr<const std::vector<RecordedRow>> rows);

  [[nodiscard]] std::optional<SimRequest> next() override;
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return rows_->front().block_tokens; }
  /// Names of the endpoints that answered, by their places in SimRequest::recorded_endpoint. Parts of the rows.
  [[nodiscard]] const std::vector<std::string_view>& endpoints() const noexcept { return endpoints_; }

 private:
  /// Small numbers for ids, by their first coming; 0 stays 0.
  class Numbers {
   public:
    [[nodiscard]] std::uint32_t of(std::uint64_t id);

   private:
    std::unordered_map<std::uint64_t, std::uint32_t> numbers_;
  };

  [[nodiscard]] std::uint32_t place_of(std::string_view endpoint) const;

  std::shared_ptr<const std::vector<RecordedRow>> rows_;  // shared by the runs that compare policies
  std::vector<std::string_view> endpoints_;
  std::size_t next_ = 0;
  Numbers sessions_;
  Numbers tenants_;
};

}  // namespace llmd::simulation
