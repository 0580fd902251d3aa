// SPDX-License-Identifier: GPL-3.0-or-later
// A clock that is ahead, for programs of a guest: preloaded into each of them when an image is
// built a second time, so that a date which a step takes from the clock shows, by the day too.
// Linked with nothing: what it needs, the guest's own C library has.
#include <ctime>

#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

// Older C libraries lack these; then nobody waits for a time of day with them here either.
#pragma weak pthread_cond_clockwait
#pragma weak sem_clockwait

namespace {
constexpr time_t kAhead = GOLDMILL_CLOCK_AHEAD;  // seconds

bool is_time_of_day(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

struct Deadline {
  clockid_t clock;
  timespec time;
};

/// A time of day that was computed from our clock is far ahead; one of the machine's uptime is not.
Deadline real(const timespec& deadline) {
  timespec now{};
  ::syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  if (deadline.tv_sec < now.tv_sec) {
    return {CLOCK_MONOTONIC, deadline};
  }
  return {CLOCK_REALTIME, {deadline.tv_sec - kAhead, deadline.tv_nsec}};
}
}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const auto result = static_cast<int>(::syscall(SYS_clock_gettime, clock, time));
  if (result == 0 && is_time_of_day(clock)) {
    time->tv_sec += kAhead;
  }
  return result;
}

int gettimeofday(timeval* __restrict time, void* __restrict zone) noexcept {
  const auto result = static_cast<int>(::syscall(SYS_gettimeofday, time, zone));
  if (result == 0) {
    time->tv_sec += kAhead;
  }
  return result;
}

time_t time(time_t* result) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (result != nullptr) {
    *result = now.tv_sec;
  }
  return now.tv_sec;
}

int timespec_get(timespec* time, int base) noexcept {
  return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, time) == 0 ? base : 0;
}

int pthread_cond_timedwait(pthread_cond_t* __restrict condition,
                           pthread_mutex_t* __restrict mutex,
                           const timespec* __restrict deadline) {
  const Deadline at = real(*deadline);
  return pthread_cond_clockwait(condition, mutex, at.clock, &at.time);
}

int sem_timedwait(sem_t* __restrict semaphore, const timespec* __restrict deadline) {
  const Deadline at = real(*deadline);
  return sem_clockwait(semaphore, at.clock, &at.time);
}

}  // extern "C"
