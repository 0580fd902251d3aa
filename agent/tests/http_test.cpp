// SPDX-License-Identifier: GPL-3.0-or-later
#include "http.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_server.hpp"
#include "port.hpp"

namespace goldmill::agent {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::size_t kMost = 64;
using Reading = HttpReader::State;

/// The state after a reply that came in pieces of this size, and after which the server closed.
std::pair<Reading, HttpReply> read_reply(std::string_view bytes, std::size_t piece) {
  HttpReader reader(kMost);
  Reading state = Reading::reading;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    state = reader.receive(bytes.substr(0, piece));
  }
  if (state == Reading::reading) {
    state = reader.closed();
  }
  return {state, reader.reply()};
}

TEST(Http, ReadsABodyHoweverItIsCut) {
  const std::string ok = "HTTP/1.1 200 OK\r\nServer: x\r\n";
  for (const std::string& text :
       {ok + "Content-Length: 11\r\n\r\nhello\r\n you",
        ok + "content-length:11 \r\n\r\nhello\r\n you",
        std::string("HTTP/1.0 200 OK\r\n\r\nhello\r\n you"),
        ok + "Transfer-Encoding: Chunked\r\n\r\n"
             "5;a=b\r\nhello\r\n6\r\n\r\n you\r\n0\r\nTrailer: x\r\n\r\n"}) {
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
      const auto [state, reply] = read_reply(text, piece);
      EXPECT_EQ(state, Reading::done) << text << piece;
      EXPECT_EQ(reply.status, 200);
      EXPECT_EQ(reply.body, "hello\r\n you") << text << piece;
    }
  }
  EXPECT_EQ(read_reply(ok + "Content-Length: 0\r\n\r\n", 1).first, Reading::done);
  EXPECT_EQ(read_reply(ok + "Content-Length: 64\r\n\r\n" + std::string(kMost, 'a'), 7).first,
            Reading::done);
}

TEST(Http, RefusesWhatIsNotPlain) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::string long_line(20000, 'a');
  for (const std::string& bad : {
           std::string(),
           std::string("hello\r\n\r\n"),
           std::string("HTTP/2 200 OK\r\n\r\n"),
           std::string("HTTP/1.1 20 OK\r\n\r\n"),
           std::string("HTTP/1.1 2000 OK\r\n\r\n"),
           std::string("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\n\nhello"),
           "HTTP/1.1 200 " + long_line,
           ok,
           ok + "Server: x",
           ok + "no colon\r\n\r\n",
           ok + "A: b\r\n folded\r\n\r\n",
           ok + "Content-Length : 1\r\n\r\na",
           ok + "Content-Length: 5\r\n\r\nhell",
           ok + "Content-Length: 5\r\n\r\nhello!",
           ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
           ok + "Content-Length: -1\r\n\r\n",
           ok + "Content-Length: 0x5\r\n\r\nhello",
           ok + "Content-Length: 99999999999999999999\r\n\r\n",
           ok + "Content-Length: 65\r\n\r\n" + std::string(65, 'a'),
           ok + "\r\n" + std::string(65, 'a'),
           ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
           ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           ok + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1\r\na\r\n0\r\n\r\n",
           ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello",
           ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
           ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
           ok + "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
           ok + "Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
           ok + "Transfer-Encoding: chunked\r\n\r\n40\r\n" + std::string(64, 'a') +
               "\r\n1\r\na\r\n0\r\n\r\n",
           ok + "Transfer-Encoding: chunked\r\n\r\n" + long_line,
           ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nA: " + long_line,
       }) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{5}, bad.size() + 1}) {
      const auto [state, reply] = read_reply(bad, piece);
      EXPECT_EQ(state, Reading::refused) << bad.substr(0, 120) << piece;
      EXPECT_LE(reply.body.size(), kMost);
    }
  }
  std::string many = ok;
  for (int i = 0; i < 2000; ++i) {
    many += "A: bcdefgh\r\n";
  }
  EXPECT_EQ(read_reply(many, 4096).first, Reading::refused);
}

TEST(Http, OfOtherStatusesTheHeadIsRead) {
  for (const char* text : {"HTTP/1.1 404 Not Found\r\nContent-Length: 999999\r\n\r\nno",
                           "HTTP/1.1 301\r\nLocation: http://192.0.2.1/\r\n\r\n",
                           "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n2"}) {
    const auto [state, reply] = read_reply(text, 3);
    EXPECT_EQ(state, Reading::done) << text;
    EXPECT_EQ(reply.status, std::atoi(text + 9));
    EXPECT_EQ(reply.body, "");
  }
}

TEST(Http, AsksOnceAndFollowsNothing) {
  FakeServer server([](const std::string&) -> std::vector<std::string> {
    return {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/x\r\n", "\r\n"};
  });
  const auto reply = ask_http(server.endpoint(),
                              {.method = "PUT", .path = "/a", .headers = "X-Test: 1\r\n"},
                              kMost,
                              uptime_ms() + 60000);
  ASSERT_TRUE(reply) << reply.error().text();
  EXPECT_EQ(reply->status, 302);
  ASSERT_EQ(server.requests().size(), 1U);
  EXPECT_THAT(server.requests()[0],
              AllOf(StartsWith("PUT /a HTTP/1.1\r\nHost: 169.254.169.254\r\n"),
                    HasSubstr("\r\nX-Test: 1\r\n\r\n")));
}

TEST(Http, AServerThatDripsDoesNotHoldItUp) {
  // It would never end: a little after a little, each in good time.
  FakeServer server(
      [](const std::string&) { return std::vector<std::string>(100000, std::string(64, 'a')); });
  const auto reply = ask_http(server.endpoint(), {.path = "/"}, kMost, uptime_ms() + 60000);
  ASSERT_FALSE(reply) << "a line without an end";
  EXPECT_EQ(reply.error().kind, ErrorKind::corrupt);
  const auto late = ask_http(server.endpoint(), {.path = "/"}, kMost, uptime_ms() + 50);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::cancelled);
}

TEST(Http, NobodyThereIsAnError) {
  Endpoint endpoint;
  {
    const FakeServer server([](const std::string&) { return std::vector<std::string>(); });
    endpoint = server.endpoint();
    const auto reply = ask_http(endpoint, {.path = "/"}, kMost, uptime_ms() + 60000);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().kind, ErrorKind::corrupt) << "closed without a word";
  }
  EXPECT_FALSE(ask_http(endpoint, {.path = "/"}, kMost, uptime_ms() + 60000));
}

}  // namespace
}  // namespace goldmill::agent
