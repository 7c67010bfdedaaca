#include "kvtransfer/block_client.h"

#include <fmt/format.h>

#include <deque>
#include <map>
#include <unordered_set>
#include <utility>

#include "kvtransfer/pull_session.h"
#include "net/resolve.h"
#include "runtime/deadline.h"
#include "runtime/event.h"

namespace llmd::kvtransfer {

/// Shared with the pulls, which may end later than the client.
struct BlockClient::State {
  State(Loop& on, BlockClientOptions with, kvstore::BlockStore& into, TransferMetrics& counting)
      : loop{on}, options{std::move(with)}, store{into}, metrics{counting}, reaper{on.executor(), [this] { reap(); }} {}

  [[nodiscard]] std::unique_ptr<HolderLink> take_idle(const net::Address& peer);
  void keep_idle(const net::Address& peer, std::unique_ptr<HolderLink> link);
  void reap();
  void next_turn();

  Loop& loop;
  const BlockClientOptions options;
  kvstore::BlockStore& store;
  TransferMetrics& metrics;
  std::map<net::Address, std::vector<std::unique_ptr<HolderLink>>> idle;
  Deadline reaper;
  std::unordered_set<Pull*> pulls;  // waiting ones, too
  std::size_t running = 0;
  std::deque<Event*> turns;  // of those that wait, first come first served
  bool closed = false;
};

std::unique_ptr<HolderLink> BlockClient::State::take_idle(const net::Address& peer) {
  const auto found = idle.find(peer);
  if (found == idle.end()) return nullptr;
  std::unique_ptr<HolderLink> link;
  while (link == nullptr && !found->second.empty()) {
    link = std::move(found->second.back());
    found->second.pop_back();
    if (!link->connection.is_quiet()) link.reset();  // the holder went away
  }
  if (found->second.empty()) idle.erase(found);
  return link;
}

void BlockClient::State::keep_idle(const net::Address& peer, std::unique_ptr<HolderLink> link) {
  if (closed) return;
  auto& links = idle[peer];
  if (links.size() >= options.idle_links_max) return;
  link->idle_since = SteadyClock::now();
  links.push_back(std::move(link));
  reaper.set(SteadyClock::now() + options.idle_max);
}

void BlockClient::State::reap() {
  const TimePoint oldest = SteadyClock::now() - options.idle_max;
  for (auto& [peer, links] : idle) std::erase_if(links, [&](const auto& link) { return link->idle_since <= oldest; });
  std::erase_if(idle, [](const auto& entry) { return entry.second.empty(); });
  if (!idle.empty()) reaper.set(SteadyClock::now() + options.idle_max);
}

void BlockClient::State::next_turn() {
  --running;
  if (turns.empty()) return;
  turns.front()->set();
  turns.pop_front();
  ++running;
}

/// One pull on its way: its turn, a link, the session, and the retry on a fresh link if a kept one turns out dead.
class BlockClient::Pull {
 public:
  Pull(std::shared_ptr<State> state, PullRequest request) : state_{std::move(state)}, request_{std::move(request)} {
    state_->pulls.insert(this);
    if (request_.token != nullptr) request_.token->set(this, [this] { cancel(); });
  }
  ~Pull() {
    state_->pulls.erase(this);
    if (request_.token != nullptr) request_.token->set(this, nullptr);
    if (has_turn_) state_->next_turn();
  }
  Pull(const Pull&) = delete;
  Pull& operator=(const Pull&) = delete;

  [[nodiscard]] static Task<PullResult> run(std::shared_ptr<State> state, PullRequest request);
  void cancel();

 private:
  [[nodiscard]] Task<Result<void>> attempt();
  [[nodiscard]] Task<Result<void>> wait_for_turn();
  [[nodiscard]] Task<Result<void>> transfer(bool fresh);
  [[nodiscard]] Task<Result<void>> connect();
  [[nodiscard]] Task<Result<void>> converse(bool fresh);
  [[nodiscard]] Error cancelled() const {
    return Error{.code = ErrorCode::kCancelled, .what = "the pull of blocks was cancelled"};
  }

  std::shared_ptr<State> state_;
  PullRequest request_;
  PullResult result_;
  Event* waiting_for_ = nullptr;  // set to wake the pull up
  std::unique_ptr<HolderLink> link_;
  std::optional<PullSession> session_;
  bool has_turn_ = false;
  bool cancelled_ = false;
};

void BlockClient::Pull::cancel() {
  cancelled_ = true;
  result_.blocks.clear();
  if (waiting_for_ != nullptr) waiting_for_->set();
  if (session_) {
    session_->abandon();
  } else if (link_) {
    link_->connection.socket().cancel();
  }
}

Task<Result<void>> BlockClient::Pull::wait_for_turn() {
  if (state_->running < state_->options.pulls_max) {
    ++state_->running;
    has_turn_ = true;
    co_return Result<void>{};
  }
  if (state_->turns.size() >= state_->options.waiting_max) {
    co_return fail(ErrorCode::kOverloaded,
                   fmt::format("{} pulls of blocks wait already, which is the limit", state_->turns.size()));
  }
  Event turn{state_->loop};
  state_->turns.push_back(&turn);
  waiting_for_ = &turn;
  [[maybe_unused]] const bool in_time = co_await turn.wait_until(request_.deadline);
  waiting_for_ = nullptr;
  has_turn_ = std::erase(state_->turns, &turn) == 0;  // next_turn() took it off the queue
  if (cancelled_) co_return std::unexpected(cancelled());
  if (has_turn_) co_return Result<void>{};
  co_return fail(ErrorCode::kDeadlineExceeded, "deadline passed in the wait for a turn to pull blocks");
}

Task<Result<void>> BlockClient::Pull::connect() {
  const auto resolution = net::Resolution::start(state_->loop, request_.peer);
  waiting_for_ = &resolution->done;
  const bool resolved = co_await resolution->done.wait_until(request_.deadline);
  waiting_for_ = nullptr;
  if (cancelled_) co_return std::unexpected(cancelled());
  if (!resolved) co_return fail(ErrorCode::kDeadlineExceeded, "deadline passed in the look-up of the holder's name");
  Result<void> connected = fail(ErrorCode::kConnectionRefused, resolution->error.message());
  for (const net::Endpoint& endpoint : resolution->endpoints) {
    connected = co_await link_->connection.socket().connect(endpoint);
    if (connected || connected.error().code != ErrorCode::kConnectionRefused) break;
  }
  co_return connected;
}

Task<Result<void>> BlockClient::Pull::converse(bool fresh) {
  if (fresh) {
    LLMD_CO_TRY_VOID(co_await connect());
    LLMD_CO_TRY_VOID(co_await session_->greet(state_->options.identity));
  }
  Result<void> fetched = co_await session_->fetch();
  // Whatever is missing is computed here: an orderly end frees the holder's blocks in either case.
  const bool orderly = fetched || fetched.error().code == ErrorCode::kLeaseExpired;
  if (orderly && request_.last) LLMD_CO_TRY_VOID(co_await session_->release());
  co_return fetched;
}

Task<Result<void>> BlockClient::Pull::transfer(bool fresh) {
  if (fresh) link_ = std::make_unique<HolderLink>(state_->loop, state_->options.identity.block_bytes);
  link_->connection.socket().set_deadline(request_.deadline, "a pull of blocks");
  session_.emplace(PullSession::Setup{.link = *link_,
                                      .store = state_->store,
                                      .metrics = state_->metrics,
                                      .lease = request_.lease,
                                      .ids = request_.ids,
                                      .parent = request_.parent});
  const Result<void> done = co_await converse(fresh);
  const bool stale = !fresh && !session_->heard() && !done && done.error().code == ErrorCode::kConnectionClosed;
  result_.blocks = session_->take_blocks();
  result_.blocks_received = session_->received();
  session_.reset();
  if (cancelled_) co_return std::unexpected(cancelled());
  if (!stale) {
    if (done) state_->keep_idle(request_.peer, std::move(link_));
    link_.reset();
    co_return done;
  }
  co_return co_await transfer(/*fresh=*/true);
}

Task<Result<void>> BlockClient::Pull::attempt() {
  LLMD_CO_TRY_VOID(state_->options.peers.check(request_.peer));
  if (state_->closed || (request_.token != nullptr && request_.token->cancelled())) {
    co_return std::unexpected(cancelled());
  }
  LLMD_CO_TRY_VOID(co_await wait_for_turn());
  link_ = state_->take_idle(request_.peer);
  const bool fresh = link_ == nullptr;
  co_return co_await transfer(fresh);
}

Task<PullResult> BlockClient::Pull::run(std::shared_ptr<State> state, PullRequest request) {
  const TimePoint start = SteadyClock::now();
  TransferMetrics& metrics = state->metrics;
  Pull pull{std::move(state), std::move(request)};
  const Result<void> done = co_await pull.attempt();
  PullResult result = std::move(pull.result_);
  if (pull.cancelled_) result.blocks.clear();
  result.bytes_received = result.blocks_received * pull.state_->options.identity.block_bytes;
  result.took = SteadyClock::now() - start;
  if (!done) {
    result.error = done.error();
    metrics.count_failure(done.error().code);
  } else if (!pull.request_.ids.empty()) {
    metrics.observe_pull(result.took);
  }
  co_return result;
}

BlockClient::BlockClient(Loop& loop, BlockClientOptions options, kvstore::BlockStore& store, TransferMetrics& metrics)
    : state_{std::make_shared<State>(loop, std::move(options), store, metrics)} {}

BlockClient::~BlockClient() {
  state_->closed = true;
  for (Pull* const pull : state_->pulls) pull->cancel();
  state_->idle.clear();
  state_->reaper.clear();
}

Task<PullResult> BlockClient::pull(PullRequest request) { return Pull::run(state_, std::move(request)); }

std::size_t BlockClient::idle_links() const noexcept {
  std::size_t count = 0;
  for (const auto& [peer, links] : state_->idle) count += links.size();
  return count;
}

std::size_t BlockClient::pulls() const noexcept { return state_->pulls.size(); }

}  // namespace llmd::kvtransfer
