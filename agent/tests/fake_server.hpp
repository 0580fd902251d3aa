// SPDX-License-Identifier: GPL-3.0-or-later
// FakeServer: an HTTP server on loopback that answers whatever the test says. Tests only.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http.hpp"

namespace goldmill::agent {

class FakeServer {
 public:
  /// What goes back for a request, piece by piece; then the connection is closed.
  using Answer = std::function<std::vector<std::string>(const std::string& request)>;

  explicit FakeServer(Answer answer) : answer_(std::move(answer)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    endpoint_.address.sin_family = AF_INET;
    endpoint_.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(endpoint_.address);
    auto* address = reinterpret_cast<sockaddr*>(&endpoint_.address);
    if (bind(listener_, address, size) == 0 && listen(listener_, 8) == 0 &&
        getsockname(listener_, address, &size) == 0) {
      thread_ = std::thread([this] { serve(); });
    }
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  ~FakeServer() {
    shutdown(listener_, SHUT_RDWR);
    if (thread_.joinable()) {
      thread_.join();
    }
    close(listener_);
  }

  const Endpoint& endpoint() const { return endpoint_; }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void serve() {
    for (int peer = 0; (peer = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
      std::string request;
      char buffer[1024];
      ssize_t count = 0;
      while (request.find("\r\n\r\n") == std::string::npos &&
             (count = recv(peer, buffer, sizeof(buffer), 0)) > 0) {
        request.append(buffer, static_cast<std::size_t>(count));
      }
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      for (const std::string& piece : answer_(request)) {
        if (send(peer, piece.data(), piece.size(), MSG_NOSIGNAL) < 0) {
          break;  // the client has seen enough
        }
        poll(nullptr, 0, 1);
      }
      close(peer);
    }
  }

  Answer answer_;
  int listener_ = -1;
  Endpoint endpoint_;
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

}  // namespace goldmill::agent
