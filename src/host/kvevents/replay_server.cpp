#include "kvevents/replay_server.h"

#include <optional>
#include <utility>
#include <vector>

namespace llmd::kvevents {
namespace {

constexpr std::size_t kPieceBatches = 64;  // of one replay before others have their turn
constexpr std::size_t kSeqBytes = 8;
constexpr std::uint64_t kEndSeq = UINT64_MAX;

/// What [peer][empty][first wanted seq] asks for.
std::optional<std::uint64_t> first_wanted(const std::vector<std::string>& frames) {
  if (frames.size() != 3 || !frames[1].empty() || frames[2].size() != kSeqBytes) return std::nullopt;
  std::uint64_t seq = 0;
  for (const char byte : frames[2]) seq = seq << 8U | static_cast<std::uint8_t>(byte);
  return seq;
}

}  // namespace

std::string encode_seq(std::uint64_t seq) {
  std::string bytes(kSeqBytes, '\0');
  for (std::size_t i = kSeqBytes; i-- > 0; seq >>= 8U) bytes[i] = static_cast<char>(seq & 0xffU);
  return bytes;
}

bool ReplayServer::take_request(const ReplayBuffer& buffer, TimePoint now) {
  auto frames = socket_.receive(4);
  if (!frames) return false;
  const auto wanted = first_wanted(*frames);
  if (!wanted) return true;
  ++requests_;
  std::erase_if(replays_, [&](const Replay& each) { return each.peer == frames->front(); });
  if (replays_.size() < kReplaysMax)
    replays_.push_back({.peer = std::move(frames->front()), .next = *wanted, .end = buffer.end(), .progress = now});
  return true;
}

ZmqSocket::Sent ReplayServer::send_head(const std::string& peer, std::string_view topic, std::uint64_t seq) {
  const ZmqSocket::Sent sent = socket_.send(peer, true);  // only here a peer can be found gone or full
  if (sent != ZmqSocket::Sent::kYes) return sent;
  socket_.send({}, true);
  socket_.send(topic, true);
  return socket_.send(encode_seq(seq), true);
}

ReplayServer::Progress ReplayServer::go_on(Replay& replay, const ReplayBuffer& buffer, TimePoint now) {
  const auto stalled = [&] { return now - replay.progress > kStallMax ? Progress::kDone : Progress::kBlocked; };
  for (std::size_t i = 0; i < kPieceBatches; ++i) {
    if (full()) return stalled();
    Payload* const batch = buffer.from(replay.next);
    const bool ends = batch == nullptr || batch->seq() >= replay.end;
    const auto sent = ends ? send_head(replay.peer, {}, kEndSeq) : send_head(replay.peer, topic_, batch->seq());
    if (sent == ZmqSocket::Sent::kNobody) return Progress::kDone;
    if (sent == ZmqSocket::Sent::kFull) return stalled();
    replay.progress = now;
    if (ends) {
      socket_.send({}, false);
      return Progress::kDone;
    }
    socket_.send(*batch, Way::kReplay);
    replay.next = batch->seq() + 1;
  }
  return Progress::kMore;
}

ReplayServer::Left ReplayServer::advance(const ReplayBuffer& buffer, TimePoint now) {
  Left left = Left::kNothing;
  for (std::size_t i = 0, count = replays_.size(); i < count; ++i) {
    Replay replay = std::move(replays_.front());
    replays_.pop_front();
    const Progress progress = go_on(replay, buffer, now);
    if (progress == Progress::kDone) continue;
    replays_.push_back(std::move(replay));
    if (progress == Progress::kMore) left = Left::kMore;
    if (left == Left::kNothing) left = Left::kBlocked;
  }
  if (replays_.size() > 1) {  // another has the first room next time
    replays_.push_back(std::move(replays_.front()));
    replays_.pop_front();
  }
  return take_request(buffer, now) ? Left::kMore : left;
}

}  // namespace llmd::kvevents
