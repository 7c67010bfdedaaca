#include "simulation/workloads/documents.h"

#include <algorithm>
#include <utility>

namespace llmd::simulation {

LongDocumentWorkload::LongDocumentWorkload(const LongDocumentOptions& options)
    : generator_{options.common},
      arrivals_{session_arrivals(options.common.arrivals, options.dialog), generator_.fork(1)},
      dialog_{options.dialog},
      document_tokens_{options.document_tokens},
      readers_{.mean = options.readers_mean, .max = options.readers_max},
      documents_(std::max(options.documents_open, 1U)) {}

Text LongDocumentWorkload::open_document() {
  Document& document = documents_[generator_.rng().below(documents_.size())];
  if (document.readers_left == 0) {
    document = {.text = generator_.fresh_text(document_tokens_), .readers_left = readers_.draw(generator_.rng())};
  }
  --document.readers_left;
  return document.text;
}

std::optional<SimRequest> LongDocumentWorkload::next() {
  if (generator_.left() == 0) return std::nullopt;
  BlockChain history{generator_.block_tokens()};
  history.append(open_document());
  const Text question = generator_.fresh_text(dialog_.said_tokens);
  return hold_dialog({.history = std::move(history), .said = question, .arrival = arrivals_.next()}, dialog_,
                     generator_);
}

}  // namespace llmd::simulation
