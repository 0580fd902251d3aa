// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>

#include <curl/curl.h>
#include <unistd.h>

#include <goldmill/system/http.hpp>

namespace goldmill::system {

namespace {
constexpr long kConnectSeconds = 10;
/// An upload may take as long as it takes, but not stand still.
constexpr long kStandstillSeconds = 60;
constexpr std::size_t kMostHeaders = 100;

struct Exchange {
  const HttpRequest& request;
  HttpAnswer answer;
  std::uint64_t sent = 0;
  bool is_too_large = false;
};

std::size_t take_body(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::size_t length = size * count;
  if (exchange.answer.body.size() + length > exchange.request.most.value) {
    exchange.is_too_large = true;
    return 0;  // ends the transfer
  }
  exchange.answer.body.append(bytes, length);
  return length;
}

std::size_t take_header(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& headers = static_cast<Exchange*>(user)->answer.headers;
  const std::string_view line(bytes, size * count);
  if (line.starts_with("HTTP/")) {
    headers.clear();  // of "100 Continue" before it
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || headers.size() >= kMostHeaders) {
    return line.size();
  }
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  std::string_view value = line.substr(colon + 1);
  value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
  value = value.substr(0, value.find_last_not_of(" \t\r\n") + 1);
  headers[std::move(name)] = value;
  return line.size();
}

std::size_t give_upload(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::uint64_t left = exchange.request.upload->size.value - exchange.sent;
  const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(size * count, left));
  ssize_t got = 0;
  do {
    got = ::pread(exchange.request.upload->file, bytes, most, static_cast<off_t>(exchange.sent));
  } while (got < 0 && errno == EINTR);
  if (got < 0 || (got == 0 && most > 0)) {
    return CURL_READFUNC_ABORT;
  }
  exchange.sent += static_cast<std::uint64_t>(got);
  return static_cast<std::size_t>(got);
}

int seek_upload(void* user, curl_off_t offset, int origin) {
  if (origin != SEEK_SET || offset < 0) {
    return CURL_SEEKFUNC_CANTSEEK;
  }
  static_cast<Exchange*>(user)->sent = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

void set_body(CURL* handle, Exchange& exchange) {
  const HttpRequest& request = exchange.request;
  if (request.upload) {
    curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(handle, CURLOPT_READFUNCTION, give_upload);
    curl_easy_setopt(handle, CURLOPT_READDATA, &exchange);
    curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, seek_upload);
    curl_easy_setopt(handle, CURLOPT_SEEKDATA, &exchange);
    curl_easy_setopt(
        handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.upload->size.value));
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, kStandstillSeconds);
  } else {
    curl_easy_setopt(handle, CURLOPT_TIMEOUT, static_cast<long>(request.limit.count()));
    if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
      curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.data());
      curl_easy_setopt(
          handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    }
  }
  curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

void set_rules(CURL* handle, const std::filesystem::path& authorities) {
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);  // threads
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "goldmill");
  if (!authorities.empty()) {
    curl_easy_setopt(handle, CURLOPT_CAINFO, authorities.c_str());
  }
}

/// Scheme, host and port: a query may hold what is nobody's business.
std::string place_of(const std::string& url) {
  const std::size_t scheme = url.find("://");
  std::string place =
      url.substr(0, scheme == std::string::npos ? scheme : url.find_first_of("/?#", scheme + 3));
  const std::size_t at = place.find('@');
  return at == std::string::npos ? place : place.substr(at + 1);
}

Error failure_of(CURLcode code, const char* said, const Exchange& exchange) {
  const std::string place = place_of(exchange.request.url);
  if (exchange.is_too_large) {
    return {ErrorKind::corrupt,
            place + " answers with more than " + to_text(exchange.request.most)};
  }
  const std::string why = *said == '\0' ? curl_easy_strerror(code) : said;
  if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
    return {ErrorKind::invalid_input, "'" + place + "' is no URL: " + why};
  }
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
    return {ErrorKind::unavailable, place + " is not trusted: " + why};
  }
  return {ErrorKind::unavailable, place + " does not answer: " + why};
}

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

HeaderList list_of(const std::vector<std::string>& headers) {
  HeaderList list(curl_slist_append(nullptr, "Expect:"));  // nobody waits for "100 Continue"
  for (const std::string& header : headers) {
    if (curl_slist* longer = curl_slist_append(list.get(), header.c_str())) {
      (void)list.release();
      list.reset(longer);
    }
  }
  return list;
}
}  // namespace

struct HttpClient::Idle {
  std::mutex mutex;
  std::vector<CURL*> handles;
};

HttpClient::HttpClient(std::filesystem::path authorities)
    : authorities_(std::move(authorities)), idle_(std::make_unique<Idle>()) {
  static const CURLcode kStarted = curl_global_init(CURL_GLOBAL_DEFAULT);
  GOLDMILL_ASSERT(kStarted == CURLE_OK);
}

HttpClient::~HttpClient() {
  for (CURL* handle : idle_->handles) {
    curl_easy_cleanup(handle);
  }
}

Result<HttpAnswer> HttpClient::send(const HttpRequest& request) {
  CURL* handle = nullptr;
  {
    const std::lock_guard guard(idle_->mutex);
    if (!idle_->handles.empty()) {
      handle = idle_->handles.back();
      idle_->handles.pop_back();
    }
  }
  handle = handle == nullptr ? curl_easy_init() : handle;
  GOLDMILL_ASSERT(handle != nullptr);
  curl_easy_reset(handle);  // keeps its connections
  Exchange exchange{request, {}};
  std::array<char, CURL_ERROR_SIZE> said{};
  const HeaderList headers = list_of(request.headers);
  set_rules(handle, authorities_);
  set_body(handle, exchange);
  curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, said.data());
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &exchange);
  const CURLcode code = curl_easy_perform(handle);
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  exchange.answer.status = static_cast<int>(status);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, nullptr);
  {
    const std::lock_guard guard(idle_->mutex);
    idle_->handles.push_back(handle);
  }
  if (code != CURLE_OK) {
    return failure_of(code, said.data(), exchange);
  }
  return std::move(exchange.answer);
}

std::string url_escaped(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      escaped += c;
    } else {
      escaped += '%';
      escaped += kDigits[byte >> 4U];
      escaped += kDigits[byte & 15U];
    }
  }
  return escaped;
}

}  // namespace goldmill::system
