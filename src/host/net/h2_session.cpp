#include "net/h2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

namespace llmd::net {
namespace {

constexpr std::size_t kFieldOverhead = 32;  // as HPACK counts
constexpr int kFinalStatus = 200;           // below: interim answers

std::string_view view_of(const std::uint8_t* bytes, std::size_t size) noexcept {
  return {reinterpret_cast<const char*>(bytes), size};
}

nghttp2_nv field(std::string_view name, std::string_view value) noexcept {
  // nghttp2 copies both; it only takes them as not const.
  return {.name = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          .value = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())),
          .namelen = name.size(),
          .valuelen = value.size(),
          .flags = NGHTTP2_NV_FLAG_NONE};
}

std::string lower(std::string_view name) {
  std::string text{name};
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

}  // namespace

H2Bytes own(std::string bytes) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  const std::string_view view = *owner;
  return {.owner = std::move(owner), .bytes = view};
}

/// What nghttp2 calls. `user` is the session.
struct H2Session::Callbacks {
  static H2Session& session(void* user) noexcept { return *static_cast<H2Session*>(user); }

  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
      session(user).streams_.try_emplace(frame->hd.stream_id);
    return 0;
  }

  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                    const std::uint8_t* value, std::size_t value_size, std::uint8_t /*flags*/, void* user) {
    H2Session& self = session(user);
    Exchange* const exchange = self.find(frame->hd.stream_id);
    const bool of_client = !self.on_request_;
    if (exchange == nullptr) return 0;
    if (exchange->head_done && !of_client) return 0;  // trailing fields of a request say nothing here
    exchange->head_bytes += name_size + value_size + kFieldOverhead;
    if (exchange->head_bytes > self.limits_.header_bytes_max) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    const std::string_view key = view_of(name, name_size);
    const std::string_view text = view_of(value, value_size);
    Request& head = exchange->head;
    if (key == ":method") {
      head.method = text;
    } else if (key == ":path") {
      head.target = text;
    } else if (key == ":authority") {
      head.headers.add("host", std::string{text});
    } else if (key == ":status") {
      std::from_chars(text.data(), text.data() + text.size(), exchange->status);
    } else if (!key.starts_with(':')) {
      head.headers.add(std::string{key}, std::string{text});
    }
    return 0;
  }

  static int frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    H2Session& self = session(user);
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) ++self.pongs_;
    if (frame->hd.type == NGHTTP2_GOAWAY) self.peer_goes_away_ = true;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    const H2StreamId id = frame->hd.stream_id;
    Exchange* exchange = self.find(id);
    if (exchange == nullptr) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !self.on_request_) {
      self.answer_head_came(*exchange);
    } else if (!exchange->head_done) {
      if (!self.head_came(id, *exchange)) return 0;
      exchange = self.find(id);
    }
    if (exchange == nullptr || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    exchange->peer_ended = true;
    if (exchange->stream) {
      const std::shared_ptr<H2Stream> stream = exchange->stream;
      stream->on_end();
    }
    return 0;
  }

  /// The answer is out. What the peer still sends of its request nobody reads (RFC 9113, section 8.1).
  static int frame_sent(nghttp2_session* nghttp2, const nghttp2_frame* frame, void* user) {
    const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (!session(user).on_request_ || !ends || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
      return 0;
    const Exchange* const exchange = session(user).find(frame->hd.stream_id);
    if (exchange != nullptr && !exchange->peer_ended)
      nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
  }

  static int data(nghttp2_session* nghttp2, std::uint8_t /*flags*/, std::int32_t id, const std::uint8_t* bytes,
                  std::size_t size, void* user) {
    Exchange* const exchange = session(user).find(id);
    if (exchange == nullptr || !exchange->stream) {
      nghttp2_session_consume(nghttp2, id, size);
      return 0;
    }
    const std::shared_ptr<H2Stream> stream = exchange->stream;
    stream->on_data(view_of(bytes, size));
    return 0;
  }

  static int closed(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
    H2Session& self = session(user);
    const auto found = self.streams_.find(id);
    if (found == self.streams_.end()) return 0;
    const std::shared_ptr<H2Stream> stream = std::move(found->second.stream);
    self.streams_.erase(found);
    if (stream) stream->on_close(static_cast<H2Reset>(code));
    return 0;
  }

  static ssize_t read(nghttp2_session*, std::int32_t id, std::uint8_t* /*buffer*/, std::size_t size,
                      std::uint32_t* flags, nghttp2_data_source* /*source*/, void* user) {
    H2Session& self = session(user);
    Exchange* const exchange = self.find(id);
    if (exchange == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    const std::size_t now = std::min(size, exchange->data_bytes);
    if (now < exchange->data_bytes || !exchange->ends) {
      if (now == 0) return NGHTTP2_ERR_DEFERRED;
    } else {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (exchange->trailers.size() > 0) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        self.submit_trailers(id, exchange->trailers);
      }
    }
    if (now > 0) *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    return static_cast<ssize_t>(now);
  }

  static int send_data(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head, std::size_t size,
                       nghttp2_data_source* /*source*/, void* user) {
    constexpr std::size_t kFrameHead = 9;
    H2Session& self = session(user);
    Exchange* const exchange = self.find(frame->hd.stream_id);
    if (exchange == nullptr || frame->data.padlen > 0) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    self.append(view_of(head, kFrameHead));
    while (size > 0) {
      H2Bytes& piece = exchange->data.front();
      const std::size_t now = std::min(size, piece.bytes.size());
      self.append(H2Bytes{.owner = piece.owner, .bytes = piece.bytes.substr(0, now)});
      piece.bytes.remove_prefix(now);
      if (piece.bytes.empty()) exchange->data.pop_front();
      exchange->data_bytes -= now;
      size -= now;
    }
    if (exchange->data.empty() && exchange->stream) {
      const std::shared_ptr<H2Stream> stream = exchange->stream;
      stream->on_sent();
    }
    return 0;
  }

  [[nodiscard]] static nghttp2_session_callbacks* make() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, frame_sent);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, closed);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    return callbacks;
  }
};

H2Session::H2Session(const H2Limits& limits, OnRequest on_request)
    : limits_{limits}, on_request_{std::move(on_request)} {
  start(/*of_client=*/false);
}

H2Session::H2Session(const H2Limits& limits) : limits_{limits} { start(/*of_client=*/true); }

void H2Session::start(bool of_client) {
  nghttp2_session_callbacks* const callbacks = Callbacks::make();
  nghttp2_option* options = nullptr;
  nghttp2_option_new(&options);
  nghttp2_option_set_no_auto_window_update(options, 1);
  nghttp2_option_set_no_closed_streams(options, 1);
  nghttp2_option_set_stream_reset_rate_limit(options, limits_.resets_burst, limits_.resets_per_s);
  if (of_client) {
    nghttp2_session_client_new2(&session_, callbacks, this, options);
  } else {
    nghttp2_session_server_new2(&session_, callbacks, this, options);
  }
  nghttp2_option_del(options);
  nghttp2_session_callbacks_del(callbacks);
  std::vector<nghttp2_settings_entry> settings{
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits_.stream_window_bytes},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits_.header_bytes_max},
  };
  if (of_client) {
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
  } else {
    settings.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits_.streams_max});
  }
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<std::int32_t>(limits_.connection_window_bytes));
}

H2Session::~H2Session() { close(); }

void H2Session::close() {
  nghttp2_session_del(std::exchange(session_, nullptr));
  output_.clear();
  output_bytes_ = 0;
  auto left = std::exchange(streams_, {});
  for (auto& [id, exchange] : left) {
    if (exchange.stream) exchange.stream->on_close(H2Reset::kCancel);
  }
}

H2Session::Exchange* H2Session::find(H2StreamId id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : &found->second;
}

bool H2Session::head_came(H2StreamId id, Exchange& exchange) {
  exchange.head_done = true;
  std::shared_ptr<H2Stream> stream = on_request_(id, std::move(exchange.head));
  Exchange* const still = find(id);
  if (still == nullptr) return false;
  still->stream = std::move(stream);
  if (still->stream) return true;
  if (!still->submitted) reset(id, H2Reset::kRefused);
  return false;
}

void H2Session::answer_head_came(Exchange& exchange) {
  Headers fields = std::exchange(exchange.head.headers, {});
  const std::shared_ptr<H2Stream> stream = exchange.stream;
  if (exchange.head_done) {
    stream->on_trailers(std::move(fields));
  } else if (exchange.status >= kFinalStatus) {
    exchange.head_done = true;
    stream->on_head(exchange.status, std::move(fields));
  }
}

Result<H2StreamId> H2Session::open(const Headers& head, std::shared_ptr<H2Stream> stream) {
  if (session_ == nullptr || peer_goes_away_ || nghttp2_session_check_request_allowed(session_) == 0)
    return fail(ErrorCode::kConnectionClosed, "the connection takes no more requests");
  std::vector<nghttp2_nv> fields;
  for (const auto& [name, value] : head) fields.push_back(field(name, value));
  const nghttp2_data_provider body{.source = {}, .read_callback = Callbacks::read};
  const std::int32_t id = nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(), &body, nullptr);
  if (id < 0) return fail(ErrorCode::kConnectionClosed, nghttp2_strerror(id));
  Exchange& exchange = streams_[id];
  exchange.stream = std::move(stream);
  exchange.submitted = true;
  return id;
}

Result<void> H2Session::receive(std::string_view bytes) {
  if (session_ == nullptr) return fail(ErrorCode::kConnectionClosed, "the connection is closed");
  const ssize_t taken =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (taken >= 0) return {};
  return fail(ErrorCode::kProtocol, nghttp2_strerror(static_cast<int>(taken)));
}

void H2Session::consume(H2StreamId id, std::size_t bytes) {
  if (session_ == nullptr) return;
  // Of a stream that is gone, the connection's window is still to be opened.
  if (find(id) == nullptr) {
    nghttp2_session_consume_connection(session_, bytes);
  } else {
    nghttp2_session_consume(session_, id, bytes);
  }
}

void H2Session::send_head(H2StreamId id, int status, const Headers& headers, bool last) {
  Exchange* const exchange = find(id);
  if (session_ == nullptr || exchange == nullptr || std::exchange(exchange->submitted, true)) return;
  std::array<char, 8> digits{};
  const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), status);
  std::vector<std::string> names;
  names.reserve(headers.size());
  std::vector<nghttp2_nv> fields{field(":status", {digits.data(), written.ptr})};
  for (const auto& [name, value] : headers) fields.push_back(field(names.emplace_back(lower(name)), value));
  const nghttp2_data_provider body{.source = {}, .read_callback = Callbacks::read};
  nghttp2_submit_response(session_, id, fields.data(), fields.size(), last ? nullptr : &body);
}

void H2Session::submit_trailers(H2StreamId id, const Headers& trailers) {
  std::vector<std::string> names;
  names.reserve(trailers.size());
  std::vector<nghttp2_nv> fields;
  for (const auto& [name, value] : trailers) fields.push_back(field(names.emplace_back(lower(name)), value));
  nghttp2_submit_trailer(session_, id, fields.data(), fields.size());
}

void H2Session::resume(H2StreamId id) { nghttp2_session_resume_data(session_, id); }

void H2Session::send_data(H2StreamId id, H2Bytes bytes) {
  Exchange* const exchange = find(id);
  if (session_ == nullptr || exchange == nullptr || exchange->ends || bytes.bytes.empty()) return;
  exchange->data_bytes += bytes.bytes.size();
  exchange->data.push_back(std::move(bytes));
  resume(id);
}

void H2Session::send_end(H2StreamId id, const Headers& trailers) {
  Exchange* const exchange = find(id);
  if (session_ == nullptr || exchange == nullptr || std::exchange(exchange->ends, true)) return;
  exchange->trailers = trailers;
  resume(id);
}

void H2Session::reset(H2StreamId id, H2Reset reason) {
  if (session_ == nullptr || find(id) == nullptr) return;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, static_cast<std::uint32_t>(reason));
}

void H2Session::announce_go_away() {
  if (session_ != nullptr && !going_away_) nghttp2_submit_shutdown_notice(session_);
}

void H2Session::go_away() {
  if (session_ == nullptr || std::exchange(going_away_, true)) return;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
}

void H2Session::ping() {
  if (session_ != nullptr) nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
}

bool H2Session::done() const {
  if (session_ == nullptr) return true;
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0 && output_bytes_ == 0;
}

void H2Session::append(std::string_view bytes) {
  constexpr std::size_t kGathered = 16 * 1024;
  if (!small_ || small_->size() + bytes.size() > kGathered) {
    small_ = std::make_shared<std::string>();
    small_->reserve(kGathered);  // it never moves, so pieces can point into it
  }
  const std::size_t begin = small_->size();
  const bool follows = !output_.empty() && output_.back().owner == small_;
  if (bytes.size() > kGathered) {
    append(own(std::string{bytes}));
    return;
  }
  small_->append(bytes);
  output_bytes_ += bytes.size();
  if (follows) {
    const std::string_view before = output_.back().bytes;
    output_.back().bytes = {before.data(), before.size() + bytes.size()};
  } else {
    output_.push_back({.owner = small_, .bytes = std::string_view{*small_}.substr(begin)});
  }
}

void H2Session::append(H2Bytes bytes) {
  constexpr std::size_t kCopied = 256;  // a piece of its own costs more
  if (bytes.bytes.size() <= kCopied) {
    append(bytes.bytes);
    return;
  }
  output_bytes_ += bytes.bytes.size();
  output_.push_back(std::move(bytes));
}

void H2Session::fill() {
  if (session_ == nullptr) return;
  while (output_bytes_ < limits_.output_bytes_max) {
    const std::uint8_t* bytes = nullptr;
    const std::size_t before = output_bytes_;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size > 0) append(view_of(bytes, static_cast<std::size_t>(size)));
    if (size <= 0 && output_bytes_ == before) return;  // data was put out by the callback
  }
}

std::vector<iovec> H2Session::output() {
  fill();
  std::vector<iovec> pieces;
  constexpr std::size_t kPiecesMax = 64;
  for (const H2Bytes& piece : output_) {
    if (pieces.size() == kPiecesMax) break;
    pieces.push_back({.iov_base = const_cast<char*>(piece.bytes.data()), .iov_len = piece.bytes.size()});
  }
  return pieces;
}

void H2Session::sent(std::size_t bytes) {
  output_bytes_ -= bytes;
  while (bytes > 0) {
    std::string_view& front = output_.front().bytes;
    const std::size_t now = std::min(bytes, front.size());
    front.remove_prefix(now);
    bytes -= now;
    if (front.empty()) output_.pop_front();
  }
  if (output_.empty()) small_.reset();
}

}  // namespace llmd::net
