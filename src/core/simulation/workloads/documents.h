#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "simulation/workload.h"
#include "simulation/workloads/arrivals.h"
#include "simulation/workloads/dialog.h"
#include "simulation/workloads/draws.h"
#include "simulation/workloads/generator.h"

namespace llmd::simulation {

struct LongDocumentOptions {
  GeneratorOptions common{};
  std::uint32_t documents_open = 16;  // read at the same time, at least 1
  LogNormal document_tokens{.median = 32'000, .sigma = 0.5, .min = 16'384, .max = 65'536};
  double readers_mean = 4;  // sessions over one document, geometric
  std::uint32_t readers_max = 50;
  /// Questions on the document, the answers, and how long a reader thinks.
  DialogOptions dialog{.turns_mean = 3,
                       .turns_max = 20,
                       .said_tokens = {.median = 40, .sigma = 0.7, .min = 5, .max = 1'000},
                       .answer_tokens = {.median = 300, .sigma = 0.7, .min = 16, .max = 2'000},
                       .pause_s = {.median = 30, .sigma = 1, .min = 2, .max = 900},
                       .context_tokens_max = 131'072};
};

/// People who ask about long documents: a session begins with a whole document, then come questions; several users
/// read the same one. A document that has had its readers gives its place to a new one.
class LongDocumentWorkload final : public Workload {
 public:
  explicit LongDocumentWorkload(const LongDocumentOptions& options);
  [[nodiscard]] std::optional<SimRequest> next() override;
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return generator_.block_tokens(); }

 private:
  struct Document {
    Text text{};
    std::uint32_t readers_left = 0;
  };

  [[nodiscard]] Text open_document();

  Generator generator_;
  ArrivalProcess arrivals_;
  DialogOptions dialog_;
  LogNormal document_tokens_;
  Geometric readers_;
  std::vector<Document> documents_;
};

}  // namespace llmd::simulation
