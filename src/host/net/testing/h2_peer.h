#pragma once

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmd::testkit {

/// What an HTTP/2 client has got on one stream.
struct H2Answer {
  std::map<std::string, std::string> head{};      // of the answer, ":status" included
  std::map<std::string, std::string> trailers{};  // fields after its body
  std::string body{};
  bool closed = false;
  std::uint32_t reset = 0;
};

/// An HTTP/2 client as bytes in and bytes out, for tests: nghttp2 with nothing around it.
class H2Peer {
 public:
  H2Peer();
  ~H2Peer();
  H2Peer(const H2Peer&) = delete;
  H2Peer& operator=(const H2Peer&) = delete;

  /// Its number. `ends`: there is no body; else send() follows.
  std::int32_t request(const std::vector<std::pair<std::string, std::string>>& head, bool ends);
  void send(std::int32_t stream, std::string_view bytes, bool ends);
  void reset(std::int32_t stream);

  /// What it wants to send now.
  [[nodiscard]] std::string output();
  /// False: what came is no HTTP/2.
  bool receive(std::string_view bytes);
  [[nodiscard]] H2Answer& answer(std::int32_t stream) { return answers_[stream]; }
  [[nodiscard]] bool going_away() const noexcept { return going_away_; }

 private:
  struct Callbacks;
  struct Body {
    std::string left{};
    bool ends = false;
  };
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, H2Answer> answers_;
  std::map<std::int32_t, Body> bodies_;
  bool going_away_ = false;
};

struct H2Peer::Callbacks {
  static H2Peer& peer(void* user) { return *static_cast<H2Peer*>(user); }

  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                    const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
    H2Answer& answer = peer(user).answers_[frame->hd.stream_id];
    auto& fields =
        answer.head.contains(":status") && frame->headers.cat == NGHTTP2_HCAT_HEADERS ? answer.trailers : answer.head;
    fields[std::string(reinterpret_cast<const char*>(name), name_size)] =
        std::string(reinterpret_cast<const char*>(value), value_size);
    return 0;
  }
  static int data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes, std::size_t size,
                  void* user) {
    peer(user).answers_[id].body.append(reinterpret_cast<const char*>(bytes), size);
    return 0;
  }
  static int frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_GOAWAY) peer(user).going_away_ = true;
    return 0;
  }
  static int closed(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
    peer(user).answers_[id].closed = true;
    peer(user).answers_[id].reset = code;
    return 0;
  }
  static ssize_t read(nghttp2_session*, std::int32_t id, std::uint8_t* buffer, std::size_t size, std::uint32_t* flags,
                      nghttp2_data_source*, void* user) {
    Body& body = peer(user).bodies_[id];
    const std::size_t now = std::min(size, body.left.size());
    std::memcpy(buffer, body.left.data(), now);
    body.left.erase(0, now);
    if (body.left.empty() && body.ends) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return now == 0 && !body.ends ? ssize_t{NGHTTP2_ERR_DEFERRED} : static_cast<ssize_t>(now);
  }
};

inline H2Peer::H2Peer() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::closed);
  nghttp2_session_client_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
}

inline H2Peer::~H2Peer() { nghttp2_session_del(session_); }

inline std::int32_t H2Peer::request(const std::vector<std::pair<std::string, std::string>>& head, bool ends) {
  std::vector<nghttp2_nv> fields;
  for (const auto& [name, value] : head) {
    fields.push_back({.name = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                      .value = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())),
                      .namelen = name.size(),
                      .valuelen = value.size(),
                      .flags = NGHTTP2_NV_FLAG_NONE});
  }
  const nghttp2_data_provider body{.source = {}, .read_callback = Callbacks::read};
  return nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(), ends ? nullptr : &body, nullptr);
}

inline void H2Peer::send(std::int32_t stream, std::string_view bytes, bool ends) {
  Body& body = bodies_[stream];
  body.left += bytes;
  body.ends = ends;
  nghttp2_session_resume_data(session_, stream);
}

inline void H2Peer::reset(std::int32_t stream) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
}

inline std::string H2Peer::output() {
  std::string all;
  const std::uint8_t* bytes = nullptr;
  for (ssize_t size = 0; (size = nghttp2_session_mem_send(session_, &bytes)) > 0;)
    all.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  return all;
}

inline bool H2Peer::receive(std::string_view bytes) {
  return nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()) >= 0;
}

}  // namespace llmd::testkit
