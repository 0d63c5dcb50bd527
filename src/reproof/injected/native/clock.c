/* What the clock says: REPROOF_SHIM_CLOCK=ahead:SECONDS|pinned:EPOCH|still:EPOCH.
 *
 * `ahead`: the date is another, and runs on. `pinned`: each process starts at the same moment, and each look at the
 * clock takes a microsecond (a millisecond after the first ten thousand, so that whoever waits for a moment to pass
 * comes to an end). `still`: the same for the clocks that only measure how long something takes.
 * Times of files are as they are. Waits until a moment are until the real one. Not covered: timers, and programs that
 * ask the kernel without libc. */
#include "shim.h"
#include <semaphore.h>
#include <sys/time.h>
#include <time.h>

#define SECOND 1000000000ll
#define SLOW 10000ll

static enum { AS_IS, AHEAD, PINNED } mode;
static int durations_too;
static int64_t amount; /* nanoseconds */
static _Atomic int64_t looks;

static int64_t nanoseconds(const struct timespec *moment)
{
    return moment->tv_sec * SECOND + moment->tv_nsec;
}

static struct timespec moment_of(int64_t count)
{
    struct timespec moment = {count / SECOND, count % SECOND};
    return moment;
}

static int64_t really(clockid_t clock)
{
    static int (*next_function)(clockid_t, struct timespec *);
    if (!next_function) next_function = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    struct timespec moment = {0, 0};
    next_function(clock, &moment);
    return nanoseconds(&moment);
}

static int is_date(clockid_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

static int is_duration(clockid_t clock)
{
    return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE ||
           clock == CLOCK_BOOTTIME || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
}

static int is_ours(clockid_t clock)
{
    return mode != AS_IS && (is_date(clock) || (durations_too && is_duration(clock)));
}

static int64_t told(clockid_t clock, int64_t turn)
{
    if (mode == AHEAD) return really(clock) + amount;
    int64_t passed = turn < SLOW ? turn * 1000 : SLOW * 1000 + (turn - SLOW) * 1000000;
    return (is_date(clock) ? amount : 1000 * SECOND) + passed;
}

/* The real moment at which a wait ends that is meant until `until`, by what we told. */
static struct timespec due(clockid_t clock, const struct timespec *until)
{
    if (!is_ours(clock)) return *until;
    return moment_of(really(clock) + nanoseconds(until) - told(clock, looks));
}

int clock_gettime(clockid_t clock, struct timespec *moment)
{
    NEXT(clock_gettime);
    if (!is_ours(clock)) return next_function(clock, moment);
    *moment = moment_of(told(clock, looks++));
    return 0;
}

int gettimeofday(struct timeval *restrict moment, void *restrict zone)
{
    NEXT(gettimeofday);
    if (mode == AS_IS) return next_function(moment, zone);
    int64_t now = told(CLOCK_REALTIME, looks++);
    moment->tv_sec = now / SECOND;
    moment->tv_usec = now % SECOND / 1000;
    return 0;
}

time_t time(time_t *place)
{
    struct timespec moment;
    clock_gettime(CLOCK_REALTIME, &moment);
    if (place) *place = moment.tv_sec;
    return moment.tv_sec;
}

int timespec_get(struct timespec *moment, int base)
{
    NEXT(timespec_get);
    if (mode == AS_IS || base != TIME_UTC) return next_function(moment, base);
    return clock_gettime(CLOCK_REALTIME, moment) ? 0 : base;
}

clock_t clock(void)
{
    NEXT(clock);
    if (!is_ours(CLOCK_PROCESS_CPUTIME_ID)) return next_function();
    return (clock_t)(told(CLOCK_PROCESS_CPUTIME_ID, looks++) / (SECOND / CLOCKS_PER_SEC));
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left)
{
    NEXT(clock_nanosleep);
    struct timespec moment = flags & TIMER_ABSTIME ? due(clock, until) : *until;
    return next_function(clock, flags, &moment, left);
}

int sem_timedwait(sem_t *semaphore, const struct timespec *until)
{
    NEXT(sem_timedwait);
    struct timespec moment = due(CLOCK_REALTIME, until);
    return next_function(semaphore, &moment);
}

int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until)
{
    NEXT(pthread_mutex_timedlock);
    struct timespec moment = due(CLOCK_REALTIME, until);
    return next_function(mutex, &moment);
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
    static int (*next_function)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
#ifdef __GLIBC__ /* an older form of the same name is kept for programs of 2002 */
    if (!next_function) next_function = (__typeof__(next_function))dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
#endif
    if (!next_function) next_function = (__typeof__(next_function))dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    /* Which clock a condition goes by cannot be asked; no machine has been up since 1985. */
    struct timespec moment = due(until->tv_sec > 500000000 ? CLOCK_REALTIME : CLOCK_MONOTONIC, until);
    return next_function(condition, mutex, &moment);
}

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 30)
int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *until)
{
    NEXT(sem_clockwait);
    struct timespec moment = due(clock, until);
    return next_function(semaphore, clock, &moment);
}

int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    NEXT(pthread_cond_clockwait);
    struct timespec moment = due(clock, until);
    return next_function(condition, mutex, clock, &moment);
}
#endif

__attribute__((constructor)) static void begin(void)
{
    const char *words = getenv("REPROOF_SHIM_CLOCK");
    const char *number = words ? strchr(words, ':') : NULL;
    if (number) {
        amount = strtoll(number + 1, NULL, 10) * SECOND;
        mode = !strncmp(words, "ahead:", 6) ? AHEAD : PINNED;
        durations_too = !strncmp(words, "still:", 6);
    }
    shim_loaded("clock", "on");
}
