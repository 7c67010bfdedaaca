#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/fifo.h"
#include "net/http.h"

struct nghttp2_session;

namespace llmd::net {

using H2StreamId = std::int32_t;

/// Why a stream is reset (RFC 9113, section 7).
enum class H2Reset : std::uint32_t {
  kNoError = 0,
  kInternal = 2,
  kRefused = 7,
  kCancel = 8,
  kEnhanceYourCalm = 11,
};

/// The limits of one connection.
struct H2Limits {
  std::uint32_t streams_max = 4'096;               // at once; the peer's further ones are refused
  std::uint32_t header_bytes_max = 64 * 1024;      // of a request's fields, with 32 a field
  std::uint32_t stream_window_bytes = 256 * 1024;  // that may come of a stream before they are consumed
  std::uint32_t connection_window_bytes = 16 * 1024 * 1024;
  std::size_t output_bytes_max = 1024 * 1024;  // that wait to be sent, beyond which DATA is held back
  std::uint64_t resets_burst = 100'000;        // that the peer may send at once,
  std::uint64_t resets_per_s = 20'000;         // and for long: Envoy resets each ext_proc stream that is done
};

/// Bytes to send: `bytes` are part of what `owner` keeps alive.
struct H2Bytes {
  std::shared_ptr<const void> owner;
  std::string_view bytes;
};
[[nodiscard]] H2Bytes own(std::string bytes);

/// What one request is told of, on either side. Calls come from within H2Session::receive(), which must not be called
/// from them; the session may be asked to send.
class H2Stream {
 public:
  H2Stream() = default;
  H2Stream(const H2Stream&) = delete;
  H2Stream& operator=(const H2Stream&) = delete;
  virtual ~H2Stream() = default;

  /// Of a client: the head of the answer (names in lower case, without pseudo fields), then fields behind its body, if
  /// there are some.
  virtual void on_head(int /*status*/, Headers /*headers*/) {}
  virtual void on_trailers(Headers /*trailers*/) {}
  /// A piece of the body. It counts against the windows until it is consumed.
  virtual void on_data(std::string_view bytes) = 0;
  /// The peer has sent all.
  virtual void on_end() = 0;
  /// The stream is gone: reset by either side, or with its connection, or done. The last call.
  virtual void on_close(H2Reset reason) = 0;
  /// Everything that was given to send_data() has been handed to the connection.
  virtual void on_sent() = 0;
};

/// One side of an HTTP/2 connection as bytes in and bytes out; nghttp2 does the protocol. Not thread-safe. No I/O, so
/// that it can be tested and fuzzed by bytes alone.
class H2Session {
 public:
  /// A request's head has come. Its fields are in `head` (pseudo fields in method and target, :authority as host).
  /// Null: the stream is refused.
  using OnRequest = std::function<std::shared_ptr<H2Stream>(H2StreamId id, Request head)>;

  /// The server's side.
  H2Session(const H2Limits& limits, OnRequest on_request);
  /// The client's side.
  explicit H2Session(const H2Limits& limits);
  ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  /// Takes what came from the peer, and calls the streams. Error kProtocol: the connection is of no use any more; what
  /// output() has is still to be sent.
  [[nodiscard]] Result<void> receive(std::string_view bytes);
  /// The peer reads the stream on: so many bytes of its body are done with.
  void consume(H2StreamId id, std::size_t bytes);

  /// Of a client: begins a request, whose body follows by send_data() and send_end(). `head` has the pseudo fields of
  /// RFC 9113, section 8.3.1, first. Error kConnectionClosed: the connection takes no more requests.
  [[nodiscard]] Result<H2StreamId> open(const Headers& head, std::shared_ptr<H2Stream> stream);
  /// Of a server: the head of the answer. `last`: there is no body. Unknown streams: nothing, as for all that follow.
  void send_head(H2StreamId id, int status, const Headers& headers, bool last = false);
  /// Bytes of the body that this side sends; they are not copied.
  void send_data(H2StreamId id, H2Bytes bytes);
  /// That body ends, with these trailing fields if there are some.
  void send_end(H2StreamId id, const Headers& trailers = {});
  void reset(H2StreamId id, H2Reset reason);
  /// Tells the peer that go_away() comes soon, so that it opens no further streams (RFC 9113, section 6.8).
  void announce_go_away();
  /// No further streams: those that are open go on. Sent once.
  void go_away();
  void ping();
  /// Pings that were answered.
  [[nodiscard]] std::uint64_t pongs() const noexcept { return pongs_; }

  /// What is to be sent now, in order; valid until the next call of any other member. Empty: nothing, or the peer's
  /// window is spent.
  [[nodiscard]] std::vector<iovec> output();
  /// So many bytes of it are sent.
  void sent(std::size_t bytes);

  [[nodiscard]] std::size_t streams() const noexcept { return streams_.size(); }
  /// The connection is gone: all streams learn of it. What is called after that does nothing.
  void close();
  /// Nothing more will come or go.
  [[nodiscard]] bool done() const;
  /// The peer opens no further streams, or takes none.
  [[nodiscard]] bool peer_goes_away() const noexcept { return peer_goes_away_; }

 private:
  struct Exchange {
    std::shared_ptr<H2Stream> stream{};  // null: it has refused
    Request head{};                      // what the peer's fields say, until they are whole
    int status = 0;                      // of a client: the answer's
    std::size_t head_bytes = 0;
    Fifo<H2Bytes> data{};
    std::size_t data_bytes = 0;
    bool head_done = false;
    bool peer_ended = false;
    bool submitted = false;
    bool ends = false;
    Headers trailers{};
  };
  struct Callbacks;
  friend struct Callbacks;

  void start(bool of_client);
  [[nodiscard]] Exchange* find(H2StreamId id);
  /// False: the stream is gone, or refuses the request.
  [[nodiscard]] bool head_came(H2StreamId id, Exchange& exchange);
  void answer_head_came(Exchange& exchange);
  void submit_trailers(H2StreamId id, const Headers& trailers);
  void resume(H2StreamId id);
  void fill();
  void append(std::string_view bytes);
  void append(H2Bytes bytes);

  const H2Limits limits_;
  const OnRequest on_request_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<H2StreamId, Exchange> streams_;
  std::deque<H2Bytes> output_;          // what is left of each piece
  std::shared_ptr<std::string> small_;  // where frames are gathered; has room that never moves. Null: none yet
  std::size_t output_bytes_ = 0;
  std::uint64_t pongs_ = 0;
  bool going_away_ = false;
  bool peer_goes_away_ = false;
};

}  // namespace llmd::net
