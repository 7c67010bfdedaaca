#include "apps/sidecar/encode_batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace llmd::sidecar {

void EncodeBatch::start(const std::shared_ptr<EncodeBatch>& self) {
  self->answers.resize(self->requests.size());
  self->workers_ = std::min(kAtOnce, self->requests.size());
  if (self->workers_ == 0) self->done.set();
  for (std::size_t i = 0, count = self->workers_; i < count; ++i) self->loop.spawn(work(self));
}

void EncodeBatch::cancel() {
  if (!failure) failure = "cancelled";
  for (const std::shared_ptr<Leg>& leg : std::exchange(running_, {})) leg->cancel();
}

Task<void> EncodeBatch::work(std::shared_ptr<EncodeBatch> self) {
  while (!self->failure && self->next_ < self->requests.size()) {
    const std::size_t index = self->next_++;
    const auto leg = std::make_shared<Leg>(self->loop, std::move(self->requests[index]));
    self->running_.push_back(leg);
    self->metrics.encodes.add();
    auto end = co_await leg->run();
    std::erase(self->running_, leg);
    if (end && end->succeeded()) {
      self->answers[index] = std::move(end->body);
      continue;
    }
    if (self->failure) break;
    self->metrics.encode_failures.add();
    self->failure = end ? fmt::format("item {}: the encode endpoint answered {}", index, end->status)
                        : fmt::format("item {}: {}", index, end.error().to_string());
    self->cancel();
  }
  if (--self->workers_ == 0) self->done.set();
}

}  // namespace llmd::sidecar
