#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace assay::test {

// Files over HTTP/1.1 on a free port of 127.0.0.1, from memory, with the faults that networks and servers have. One connection at a time.
class Server {
 public:
  static constexpr size_t kAll = ~size_t{0};
  struct File {
    std::string content;
    size_t cut_after = kAll;  // the connection ends after so many bytes of an answer's body
    int cuts = 1 << 30;       // so many times
    bool ranges = true;       // false: every answer is the whole file
    bool length = true;       // false: the end of the connection is the end of the file
    int status = 0;           // an answer of this status instead
    std::string moved_to;     // a redirect to another path
  };

  Server() {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_, 16);
    socklen_t n = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &n);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/"; }
  void set(const std::string& path, File file) {
    const std::lock_guard lock(mutex_);
    files_[path] = std::move(file);
  }
  // "a.bin" or "a.bin from 100" for each request since the last call.
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return std::exchange(requests_, {});
  }

 private:
  void serve() {
    for (int connection; (connection = ::accept(listener_, nullptr, nullptr)) >= 0; ::close(connection)) {
      std::string request;
      char piece[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t n = ::recv(connection, piece, sizeof piece, 0);
        if (n <= 0) break;
        request.append(piece, static_cast<size_t>(n));
      }
      if (!request.empty()) send_all(connection, answer(request));
    }
  }

  static void send_all(int connection, const std::string& text) {
    for (size_t done = 0; done < text.size();) {
      const ssize_t n = ::send(connection, text.data() + done, text.size() - done, MSG_NOSIGNAL);
      if (n <= 0) return;
      done += static_cast<size_t>(n);
    }
  }

  std::string answer(const std::string& request) {
    const std::lock_guard lock(mutex_);
    const std::string path = request.substr(5, request.find(' ', 5) - 5);  // "GET /path HTTP/1.1"
    unsigned long long from = 0;
    const size_t range = request.find("Range: bytes=");
    if (range != std::string::npos) std::sscanf(request.c_str() + range, "Range: bytes=%llu-", &from);
    requests_.push_back(path + (from > 0 ? " from " + std::to_string(from) : ""));
    const auto found = files_.find(path);
    if (found == files_.end()) return head("404 Not Found", 0);
    File& f = found->second;
    if (f.status != 0) return head(std::to_string(f.status) + " As Asked", 0);
    if (!f.moved_to.empty()) return "HTTP/1.1 302 Found\r\nLocation: /" + f.moved_to + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    const bool partial = range != std::string::npos && f.ranges;
    const std::string all = std::to_string(f.content.size());
    if (partial && from >= f.content.size())
      return "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */" + all + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    std::string body = partial ? f.content.substr(from) : f.content;
    std::string answer = partial ? "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " + std::to_string(from) + "-" +
                                       std::to_string(f.content.size() - 1) + "/" + all + "\r\n"
                                 : std::string("HTTP/1.1 200 OK\r\n");
    if (f.length) answer += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    if (f.cut_after < body.size() && f.cuts-- > 0) body.resize(f.cut_after);
    return answer + "Connection: close\r\n\r\n" + body;
  }
  static std::string head(const std::string& status, size_t length) {
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(length) + "\r\nConnection: close\r\n\r\n";
  }

  int listener_ = -1;
  int port_ = 0;
  std::mutex mutex_;
  std::map<std::string, File> files_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

}  // namespace assay::test
