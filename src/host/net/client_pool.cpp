#include "net/client_pool.h"

#include <algorithm>

namespace llmd::net {

std::shared_ptr<Stream> ClientPool::make() {
  constexpr std::size_t kBufferBytes = 8 * 1024;
  constexpr std::size_t kBufferBytesMax = 64 * 1024;
  ++open_;
  return std::make_shared<Stream>(
      loop, Socket{loop.executor()},
      Stream::Options{.buffer_bytes = kBufferBytes,
                      .buffer_bytes_max = std::max(kBufferBytesMax, options.header_bytes_max)});
}

void ClientPool::drop(const std::shared_ptr<Stream>& stream) {
  --open_;
  stream->on_input(nullptr);
  stream->close();
}

std::shared_ptr<Stream> ClientPool::take(const Address& address) {
  const auto found = idle_.find(address);
  if (found == idle_.end()) return nullptr;
  std::shared_ptr<Stream> taken;
  while (!taken && !found->second.empty()) {
    taken = std::move(found->second.back());
    found->second.pop_back();
    if (taken->ended() || taken->interrupted() != Stream::Interrupt::kNone) drop(std::exchange(taken, nullptr));
  }
  if (found->second.empty()) idle_.erase(found);
  if (taken) taken->on_input(nullptr);
  return taken;
}

void ClientPool::give(const Address& address, std::shared_ptr<Stream> stream) {
  const auto kept = closed_ ? nullptr : &idle_[address];
  if (kept == nullptr || kept->size() >= options.idle_connections_max) {
    drop(stream);
    return;
  }
  // The pool outlives what it keeps: it clears the callback when it lets go of a stream.
  stream->on_input([this, address, raw = stream.get()] { on_idle_input(address, raw); });
  stream->set_deadline(SteadyClock::now() + options.idle_timeout);
  stream->start_read();
  kept->push_back(std::move(stream));
}

/// An idle connection may only end: bytes that nobody asked for make it useless.
void ClientPool::on_idle_input(const Address& address, const Stream* stream) {
  const Address key = address;  // the callback that holds it goes with the stream
  const auto found = idle_.find(key);
  if (found == idle_.end()) return;
  const auto at = std::find_if(found->second.begin(), found->second.end(),
                               [stream](const auto& kept) { return kept.get() == stream; });
  if (at == found->second.end()) return;
  const std::shared_ptr<Stream> ended = std::move(*at);
  found->second.erase(at);
  if (found->second.empty()) idle_.erase(found);
  const bool by_peer = ended->interrupted() == Stream::Interrupt::kNone;
  drop(ended);
  if (by_peer && idle_ended) idle_ended(key);
}

void ClientPool::close_idle() {
  closed_ = true;
  idle_ended = nullptr;
  for (const auto& [address, streams] : std::exchange(idle_, {})) {
    for (const auto& stream : streams) drop(stream);
  }
}

}  // namespace llmd::net
