#include "assay/data/download.h"

#define CURL_DISABLE_TYPECHECK  // the functions are called by pointer
#include <curl/curl.h>

#include <chrono>
#include <cstring>
#include <exception>
#include <memory>
#include <thread>
#include <vector>

#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/data/opened_library.h"
#include "assay/data/sha256.h"

namespace assay::data {
namespace {

constexpr long kConnectSeconds = 30, kStalledSeconds = 60, kRedirects = 10;

struct Curl {
  OpenedLibrary library{{"libcurl.so.4", "libcurl-gnutls.so.4"}, "libcurl4"};
  decltype(curl_global_init)* start = library.function<decltype(curl_global_init)>("curl_global_init");
  decltype(curl_easy_init)* create = library.function<decltype(curl_easy_init)>("curl_easy_init");
  decltype(curl_easy_cleanup)* destroy = library.function<decltype(curl_easy_cleanup)>("curl_easy_cleanup");
  decltype(curl_easy_setopt)* set = library.function<decltype(curl_easy_setopt)>("curl_easy_setopt");
  decltype(curl_easy_perform)* perform = library.function<decltype(curl_easy_perform)>("curl_easy_perform");
  decltype(curl_easy_getinfo)* info = library.function<decltype(curl_easy_getinfo)>("curl_easy_getinfo");
  decltype(curl_easy_strerror)* text = library.function<decltype(curl_easy_strerror)>("curl_easy_strerror");
  Curl() {
    if (start(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw core::ResourceError("data", "libcurl does not start");
  }
};

const Curl& curl() {
  static const Curl opened;
  return opened;
}

std::string of(uint64_t done, const std::optional<uint64_t>& all) {
  return std::to_string(done) + (all ? " of " + std::to_string(*all) : std::string()) + " bytes";
}

// PATH.part, open at its end, with the sum of what it holds.
class Part {
 public:
  Part(core::FileSystem& fs, const std::string& path) : fs_(fs), path_(path + ".part") { open(); }
  ~Part() {
    if (fd_ < 0) return;
    try {
      fs_.close(fd_, path_);
    } catch (const core::Error& e) {  // what ended the transfer is the error to throw
      core::warn(e.what());
    }
  }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }
  uint64_t kept() const { return kept_; }  // of an earlier call
  void append(const char* data, size_t n) {
    fs_.write(fd_, data, n, path_);
    sum_->update(data, n);
    size_ += n;
  }
  void begin_anew() {
    fs_.truncate(path_, 0);  // opened for appending: the next byte is the first
    sum_ = std::make_unique<Sha256>();
    size_ = kept_ = 0;
  }
  std::string sum() { return sum_->hex(); }
  void close() {
    fs_.sync(fd_, path_);
    const int fd = fd_;
    fd_ = -1;
    fs_.close(fd, path_);
  }
  void remove() { fs_.remove_all(path_); }

 private:
  void open() {
    if (core::file_exists(path_)) {
      core::InputFile earlier(path_);
      std::vector<char> piece(1 << 20);
      while (const size_t n = earlier.read(piece.data(), piece.size())) {
        sum_->update(piece.data(), n);
        size_ += n;
      }
    }
    kept_ = size_;
    fd_ = fs_.open_append(path_);
  }

  core::FileSystem& fs_;
  std::string path_;
  std::unique_ptr<Sha256> sum_ = std::make_unique<Sha256>();
  uint64_t size_ = 0, kept_ = 0;
  int fd_ = -1;
};

// One request, from the end of the part on.
class Transfer {
 public:
  Transfer(const Remote& remote, Part& part, const DownloadRules& rules)
      : remote_(remote), part_(part), rules_(rules), handle_(curl().create()), from_(part.size()) {
    if (handle_ == nullptr) throw core::ResourceError("data", "libcurl gives no handle");
  }
  ~Transfer() { curl().destroy(handle_); }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  enum class End { whole, again, passing };  // again: from the beginning; passing: a failure that another try may not meet
  End run(std::string* why) {
    set(CURLOPT_URL, remote_.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, kRedirects);
    set(CURLOPT_FAILONERROR, 1L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, kStalledSeconds);
    set(CURLOPT_USERAGENT, "assay");
    const std::string range = std::to_string(from_) + "-";
    if (from_ > 0) set(CURLOPT_RANGE, range.c_str());
    set(CURLOPT_HEADERFUNCTION, +[](char* line, size_t, size_t n, void* self) { return static_cast<Transfer*>(self)->header({line, n}); });
    set(CURLOPT_HEADERDATA, static_cast<void*>(this));
    set(CURLOPT_WRITEFUNCTION, +[](char* data, size_t, size_t n, void* self) { return static_cast<Transfer*>(self)->body(data, n); });
    set(CURLOPT_WRITEDATA, static_cast<void*>(this));
    const CURLcode code = curl().perform(handle_);
    if (failure_) std::rethrow_exception(failure_);
    return judge(code, why);
  }

 private:
  template <class T>
  void set(CURLoption option, T value) {
    if (const CURLcode code = curl().set(handle_, option, value); code != CURLE_OK)
      throw core::ResourceError("data", "libcurl refuses option " + std::to_string(option) + ": " + curl().text(code));
  }
  [[noreturn]] void refuse(const std::string& what) const { throw core::DataError("data", remote_.url + ": " + what); }

  long status() const {
    long code = 0;
    curl().info(handle_, CURLINFO_RESPONSE_CODE, &code);
    return code;
  }

  // Content-Range: bytes 100-199/200 or bytes */200. A new status line begins the headers of another response (after a redirect).
  size_t header(std::string_view line) {
    if (line.starts_with("HTTP/")) range_ = {};
    constexpr std::string_view name = "content-range:";
    if (line.size() > name.size() && strncasecmp(line.data(), name.data(), name.size()) == 0) {
      const std::string text(line.substr(name.size()));
      unsigned long long first = 0, all = 0;
      if (std::sscanf(text.c_str(), " bytes %llu-%*u/%llu", &first, &all) == 2) range_ = {first, all};
      else if (std::sscanf(text.c_str(), " bytes */%llu", &all) == 1) range_ = {std::nullopt, all};
    }
    return line.size();
  }

  size_t body(const char* data, size_t n) {
    try {
      if (!begun_) begin();
      if (remote_.bytes && part_.size() + n > *remote_.bytes) {
        part_.remove();
        refuse("more than the " + std::to_string(*remote_.bytes) + " bytes that the manifest states");
      }
      part_.append(data, n);
      if (rules_.progress) rules_.progress(part_.size());
      return n;
    } catch (...) {  // curl is C: the exception goes on behind it
      failure_ = std::current_exception();
      return 0;
    }
  }

  // At the first byte of the file: where it belongs, and whether the whole has the size that was stated.
  void begin() {
    begun_ = true;
    curl_off_t length = -1;
    curl().info(handle_, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (from_ > 0 && status() == 206) {
      if (range_.first != from_) refuse("asked for bytes from " + std::to_string(from_) + " on, and it sends others");
    } else if (part_.size() > 0) {  // the server sends everything
      part_.begin_anew();
    }
    std::optional<uint64_t> all = status() == 206 ? range_.all : std::nullopt;
    if (!all && length >= 0) all = part_.size() + static_cast<uint64_t>(length);
    if (remote_.bytes && all && *all != *remote_.bytes) {
      part_.remove();
      refuse("the server's file has " + std::to_string(*all) + " bytes, the manifest states " + std::to_string(*remote_.bytes));
    }
  }

  End judge(CURLcode code, std::string* why) {
    const long answer = status();
    if (code == CURLE_OK) {
      if (!begun_ && from_ == 0 && remote_.bytes.value_or(0) > 0) {
        *why = "the answer is empty";
        return End::passing;
      }
      if (!remote_.bytes || part_.size() == *remote_.bytes) return End::whole;
      *why = "the answer ended after " + of(part_.size(), remote_.bytes);
      return End::passing;
    }
    if (code == CURLE_HTTP_RETURNED_ERROR) {
      if (answer == 416 && from_ > 0) return range_.all == from_ && !remote_.bytes ? End::whole : End::again;
      *why = "HTTP status " + std::to_string(answer);
      if (answer >= 500 || answer == 408 || answer == 429) return End::passing;
      refuse(*why);
    }
    *why = curl().text(code) + std::string(" after ") + of(part_.size(), remote_.bytes);
    switch (code) {
      case CURLE_UNSUPPORTED_PROTOCOL:
      case CURLE_URL_MALFORMAT:
      case CURLE_TOO_MANY_REDIRECTS: refuse(*why);
      default: return End::passing;
    }
  }

  struct Range {
    std::optional<uint64_t> first, all;
  };

  const Remote& remote_;
  Part& part_;
  const DownloadRules& rules_;
  CURL* handle_;
  uint64_t from_;
  Range range_;
  bool begun_ = false;
  std::exception_ptr failure_;
};

// Until the part is whole: requests, with pauses between them.
void fill(const Remote& remote, Part& part, const DownloadRules& rules) {
  for (int64_t failures = 0;;) {
    if (remote.bytes && part.size() == *remote.bytes) return;
    if (remote.bytes && part.size() > *remote.bytes) part.begin_anew();
    std::string why;
    const uint64_t before = part.size();
    switch (Transfer(remote, part, rules).run(&why)) {
      case Transfer::End::whole: return;
      case Transfer::End::again: part.begin_anew(); continue;
      case Transfer::End::passing: break;
    }
    if (part.size() > before) failures = 0;
    if (failures >= rules.retries)
      throw core::ResourceError(
          "data", remote.url + ": " + why + (part.size() > 0 ? "; the next call goes on from there (" + part.path() + ")" : std::string()));
    core::warn("[data] " + remote.url + ": " + why + "; trying again");
    std::this_thread::sleep_for(std::chrono::seconds(int64_t{1} << std::min<int64_t>(failures++, 6)));
  }
}

}  // namespace

Received download(core::FileSystem& fs, const Remote& remote, const std::string& path, const DownloadRules& rules) {
  Part part(fs, path);
  fill(remote, part, rules);
  const Received r{part.size(), part.kept(), part.sum()};
  part.close();
  try {
    if (!remote.sha256.empty() && r.sha256 != remote.sha256)
      throw core::DataError("data", remote.url + ": its sha256 is " + r.sha256 + ", wanted " + remote.sha256);
    if (rules.inspect) rules.inspect(part.path(), r);
  } catch (const core::DataError&) {  // going on from wrong content would never end
    part.remove();
    throw;
  }
  fs.rename(part.path(), path);
  const size_t slash = path.find_last_of('/');
  fs.sync_directory(slash == std::string::npos ? "." : path.substr(0, slash));
  return r;
}

}  // namespace assay::data
