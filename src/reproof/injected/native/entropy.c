/* The system's entropy as a stream that repeats: REPROOF_SHIM_ENTROPY=SEED.
 *
 * getrandom, getentropy, arc4random, reads of /dev/urandom and /dev/random, and std::random_device of libstdc++. Each
 * process has a stream of its own, by its command and by the order in which processes are forked: names of temporary
 * files stay apart. What it hands out is predictable: keys and tokens made of it guard nothing. */
#include "shim.h"
#include <stdarg.h>
#include <sys/mman.h>

#define STREAM (1 << 20) /* bytes of an opened /dev/urandom */

static int on;
static uint64_t state;
static uint64_t forks;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

static uint64_t mixed(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull; /* splitmix64 */
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
}

static void begin_stream(void)
{
    const char *told = getenv("REPROOF_SHIM_ENTROPY");
    if (on || !told) return;
    state = mixed(strtoull(told, NULL, 10) + 1);
    int file = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    unsigned char words[4096];
    ssize_t size = file >= 0 ? read(file, words, sizeof words) : 0;
    if (file >= 0) close(file);
    for (ssize_t place = 0; place < size; place++) state = (state ^ words[place]) * 0x100000001b3ull; /* FNV-1a */
    on = 1;
}

static void fill(void *target, size_t size)
{
    pthread_mutex_lock(&guard);
    for (size_t place = 0; place < size; place += 8) {
        uint64_t value = mixed(state += 0x9e3779b97f4a7c15ull);
        memcpy((char *)target + place, &value, size - place < 8 ? size - place : 8);
    }
    pthread_mutex_unlock(&guard);
}

static void before_fork(void)
{
    pthread_mutex_lock(&guard);
    forks++;
}

static void after_in_parent(void)
{
    pthread_mutex_unlock(&guard);
}

static void after_in_child(void)
{
    state = mixed(state ^ mixed(forks));
    forks = 0;
    pthread_mutex_unlock(&guard);
}

ssize_t getrandom(void *target, size_t size, unsigned flags)
{
    begin_stream();
    if (!on) {
        static ssize_t (*next_function)(void *, size_t, unsigned);
        if (!next_function) next_function = (ssize_t(*)(void *, size_t, unsigned))dlsym(RTLD_NEXT, "getrandom");
        return next_function(target, size, flags);
    }
    fill(target, size);
    return (ssize_t)size;
}

int getentropy(void *target, size_t size)
{
    if (size > 256) {
        errno = EIO;
        return -1;
    }
    return getrandom(target, size, 0) == (ssize_t)size ? 0 : -1;
}

void arc4random_buf(void *target, size_t size)
{
    getrandom(target, size, 0);
}

uint32_t arc4random(void)
{
    uint32_t value = 0;
    getrandom(&value, sizeof value, 0);
    return value;
}

uint32_t arc4random_uniform(uint32_t limit)
{
    uint32_t value, least = limit > 1 ? -limit % limit : 0;
    do value = arc4random();
    while (value < least);
    return limit > 1 ? value % limit : 0;
}

/* std::random_device::_M_getval(), which may ask the processor. */
unsigned ours_random_device(void *) __asm__("_ZNSt13random_device9_M_getvalEv");
unsigned ours_random_device(void *device)
{
    begin_stream();
    if (!on) {
        static unsigned (*next_function)(void *);
        if (!next_function) next_function = (unsigned (*)(void *))dlsym(RTLD_NEXT, "_ZNSt13random_device9_M_getvalEv");
        if (next_function) return next_function(device);
    }
    return arc4random();
}

long syscall(long number, ...)
{
    long words[6];
    va_list list;
    va_start(list, number);
    for (int place = 0; place < 6; place++) words[place] = va_arg(list, long);
    va_end(list);
    if (number == SYS_getrandom && on) return getrandom((void *)words[0], (size_t)words[1], (unsigned)words[2]);
    static long (*next_function)(long, ...);
    if (!next_function) next_function = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return next_function(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

/* A file that holds the stream, in place of the device; -1 where `path` is another. */
static int in_place_of(const char *path)
{
    if (!path || (strcmp(path, "/dev/urandom") && strcmp(path, "/dev/random"))) return -1;
    begin_stream();
    if (!on) return -1;
    int file = memfd_create("urandom", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, STREAM)) return file;
    void *content = mmap(NULL, STREAM, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (content != MAP_FAILED) {
        fill(content, STREAM);
        munmap(content, STREAM);
    }
    return file;
}

#include "opening.h"

__attribute__((constructor)) static void begin(void)
{
    begin_stream();
    pthread_atfork(before_fork, after_in_parent, after_in_child);
    shim_loaded("entropy", "on");
}
