// SPDX-License-Identifier: GPL-3.0-or-later
// Workers as their callers see them. Runs as root and as a plain user with subordinate ids.
#include <array>
#include <chrono>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goldmill/system/file.hpp>
#include <goldmill/system/message.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::system {
namespace {

Result<Json> echo(WorkerContext& context) {
  context.send_event({{"half", "way"}});
  return Json{{"said", context.request()}, {"uid", ::getuid()}, {"pid", ::getpid()}};
}
Result<Json> fail(WorkerContext& /*context*/) {
  return Error{ErrorKind::not_found, "no such thing", "look elsewhere", {"inside"}};
}
Result<Json> die(WorkerContext& /*context*/) {
  ::raise(SIGKILL);
  return Json();
}
Result<Json> hang(WorkerContext& /*context*/) {
  std::this_thread::sleep_for(std::chrono::hours(1));
  return Json();
}
Result<Json> throws(WorkerContext& /*context*/) {
  throw std::runtime_error("third party");
}
/// Whether it has the descriptor of this number.
Result<Json> has(WorkerContext& context) {
  return Json(::fcntl(static_cast<int>(TRY(integer_at(context.request(), "number"))), F_GETFD) >=
              0);
}
/// Hand 0: a directory that guest ids cannot reach by its path.
Result<Json> bind(WorkerContext& context) {
  const int tree = ::open_tree(context.hand(0), "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
  return Json{{"bound", tree >= 0}, {"by_path", ::access("/tmp", R_OK) == 0}};
}

/// Hand 0: a socket. Serves until its other end is closed, and says so in a file (hand 1).
Result<Json> serve(WorkerContext& context) {
  context.send_event({{"up", true}});
  const auto asked = receive_message(context.hand(0), std::chrono::minutes(1));
  TRY(send_message(context.hand(0), asked ? asked->kind : '?'));
  (void)receive_message(context.hand(0), std::chrono::minutes(1));
  TRY(write_all(context.hand(1), "ended"));
  return Json::object();
}
Result<Json> refuses_to_serve(WorkerContext& /*context*/) {
  return Error{ErrorKind::unavailable, "not here"};
}

constexpr std::array kWorkers = {WorkerEntry{"echo", &echo},
                                 WorkerEntry{"fail", &fail},
                                 WorkerEntry{"die", &die},
                                 WorkerEntry{"hang", &hang},
                                 WorkerEntry{"throws", &throws},
                                 WorkerEntry{"has", &has},
                                 WorkerEntry{"bind", &bind},
                                 WorkerEntry{"serve", &serve},
                                 WorkerEntry{"refuses", &refuses_to_serve}};

class WorkerReal : public testing::TestWithParam<Confinement> {
 protected:
  void SetUp() override {
    const auto ids = GuestIds::find();
    if (GetParam() != Confinement::none && !ids) {
      GTEST_SKIP() << ids.error().text();
    }
  }
};

TEST_P(WorkerReal, AnswersWithEventsBefore) {
  std::string event;
  const auto answer = run_worker({.name = "echo",
                                  .request = {{"text", "caf\xC3\xA9\n"}},
                                  .confinement = GetParam(),
                                  .on_event = [&](const Json& json) { event = json.dump(); }});
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(event, R"({"half":"way"})");
  EXPECT_EQ(*find_string(*find_value(*answer, "said"), "text"), "caf\xC3\xA9\n");
  if (GetParam() != Confinement::none) {
    EXPECT_EQ(*find_integer(*answer, "uid"), 0);
  }
  if (GetParam() == Confinement::sandbox) {
    EXPECT_EQ(*find_integer(*answer, "pid"), 1);
  }
}

TEST_P(WorkerReal, ErrorsArriveWhole) {
  const auto answer = run_worker({.name = "fail", .confinement = GetParam()});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::not_found);
  EXPECT_EQ(answer.error().hint, "look elsewhere");
  EXPECT_EQ(answer.error().text(), "inside: no such thing");
}

TEST_P(WorkerReal, ADeadWorkerIsAnError) {
  if (GetParam() != Confinement::sandbox && GetParam() != Confinement::sandbox_with_network) {
    EXPECT_EQ(run_worker({.name = "die", .confinement = GetParam()}).error().kind,
              ErrorKind::tool_failed);  // PID 1 of a namespace cannot kill itself
  }
  EXPECT_EQ(run_worker({.name = "throws", .confinement = GetParam()}).error().kind,
            ErrorKind::internal);
  EXPECT_EQ(run_worker({.name = "unknown", .confinement = GetParam()}).error().kind,
            ErrorKind::internal);
}

TEST_P(WorkerReal, CancellingEndsIt) {
  const auto answer =
      run_worker({.name = "hang", .confinement = GetParam(), .is_cancelled = [] { return true; }});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::cancelled);
}

TEST_P(WorkerReal, DirectoriesOfTheCallerCanBeMounted) {
  if (GetParam() == Confinement::none) {
    return;
  }
  const auto home = TemporaryDirectory::make("/var/tmp", "goldmill-worker-");
  ASSERT_TRUE(home);
  ASSERT_EQ(::chmod(home->path().c_str(), 0700), 0);
  ASSERT_TRUE(make_directories(home->path() / "tree"));
  for (const int flags : {O_RDONLY | O_DIRECTORY, O_PATH | O_DIRECTORY}) {
    const auto tree = open_file(home->path() / "tree", flags);
    const auto answer =
        run_worker({.name = "bind", .confinement = GetParam(), .hands = {tree->get()}});
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_TRUE(*find_bool(*answer, "bound"));
  }
}

/// A process that starts workers from several threads at once, without an end. The pipe's writing
/// end is held by it and by every worker that has not come to life yet.
pid_t start_many(Confinement confinement, int pipe) {
  const pid_t id = ::fork();
  if (id == 0) {
    ::fcntl(pipe, F_SETFD, FD_CLOEXEC);
    for (int thread = 0; thread < 4; ++thread) {
      std::thread([confinement] {
        while (true) {
          (void)run_worker(
              {.name = "hang", .confinement = confinement, .is_cancelled = [] { return true; }});
        }
      }).detach();
    }
    std::this_thread::sleep_for(std::chrono::hours(1));
  }
  return id;
}

TEST_P(WorkerReal, ThoseThatStartTogetherEndWithTheirCaller) {
  for (int round = 0; round < 20; ++round) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const pid_t caller = start_many(GetParam(), ends[1]);
    ::close(ends[1]);
    std::this_thread::sleep_for(std::chrono::milliseconds(40 + 7 * round));
    ::kill(caller, SIGKILL);
    ::waitpid(caller, nullptr, 0);
    pollfd wait{ends[0], POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 10000), 1) << "a worker waits for a caller that is gone";
    ::close(ends[0]);
  }
}

TEST_P(WorkerReal, AServiceGoesOnWithoutItsCaller) {
  std::array<int, 2> ends{};
  std::array<int, 2> log{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  ASSERT_EQ(::pipe2(log.data(), O_CLOEXEC), 0);
  const pid_t caller = ::fork();
  if (caller == 0) {
    const auto started =
        start_service({.name = "serve", .confinement = GetParam(), .hands = {ends[1], log[1]}});
    ::_exit(started ? 0 : 1);
  }
  ::close(ends[1]);
  ::close(log[1]);
  UniqueFd ours(ends[0]);
  const UniqueFd said(log[0]);
  int status = 1;
  ::waitpid(caller, &status, 0);
  ASSERT_EQ(status, 0);
  ASSERT_TRUE(send_message(ours.get(), 'x'));
  const auto answer = receive_message(ours.get(), std::chrono::seconds(20));
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer->kind, 'x');
  ours.reset();
  EXPECT_EQ(read_all(said.get()).value(), "ended");  // and nothing else holds the pipe open
}

TEST_P(WorkerReal, HasNothingOfWhatItsCallerLeftOpen) {
  constexpr int kLeftOpen = 77;  // as of a script that has a lock: exec 77>lock
  const UniqueFd left(::dup2(STDERR_FILENO, kLeftOpen));
  const auto has = [](int number) {
    return run_worker({.name = "has", .request = {{"number", number}}, .confinement = GetParam()});
  };
  ASSERT_TRUE(has(kLeftOpen)) << has(kLeftOpen).error().text();
  EXPECT_EQ(*has(kLeftOpen), Json(false));
  EXPECT_EQ(*has(STDERR_FILENO), Json(true));
}

TEST_P(WorkerReal, AServiceThatDoesNotComeUpIsAnError) {
  const auto started = start_service({.name = "refuses", .confinement = GetParam()});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::unavailable);
}

INSTANTIATE_TEST_SUITE_P(All,
                         WorkerReal,
                         testing::Values(Confinement::none,
                                         Confinement::guest_ids,
                                         Confinement::sandbox,
                                         Confinement::sandbox_with_network));

}  // namespace
}  // namespace goldmill::system

int main(int argc, char** argv) {
  goldmill::system::become_worker_if_asked(argc, argv, goldmill::system::kWorkers);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
