// CountingSink: takes chunks and counts; the server's for uploads, the client's for downloads.
#pragma once

#include <functional>
#include <string_view>

#include "echo.capnp.h"

namespace hostcall::bench {

inline std::string_view view_of(capnp::Data::Reader data) {
  return {reinterpret_cast<const char*>(data.begin()), data.size()};
}

inline capnp::Data::Reader data_of(std::string_view bytes) {
  return {reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size()};
}

class CountingSink final : public ::bench::Sink::Server {
 public:
  using Check = std::function<void(std::string_view)>;
  explicit CountingSink(Check check) : check_(std::move(check)) {}

  kj::Promise<void> chunk(ChunkContext context) override {
    const auto data = view_of(context.getParams().getData());
    check_(data);
    bytes_ += data.size();
    return kj::READY_NOW;
  }
  kj::Promise<void> done(DoneContext context) override {
    context.getResults().setBytes(bytes_);
    return kj::READY_NOW;
  }

 private:
  Check check_;
  std::uint64_t bytes_ = 0;
};

// Sends chunks one after the other, as far as flow control lets it, then asks for the total.
inline kj::Promise<std::uint64_t> send_chunks(::bench::Sink::Client sink, std::string_view chunk, std::uint64_t left) {
  if (left == 0)
    return sink.doneRequest().send().then(
        [](capnp::Response<::bench::Sink::DoneResults> total) { return total.getBytes(); });
  auto request = sink.chunkRequest();
  request.setData(data_of(chunk));
  return request.send().then(
      [sink, chunk, left]() mutable { return send_chunks(kj::mv(sink), chunk, left - chunk.size()); });
}

}  // namespace hostcall::bench
