/* What all shims share: they say that they were loaded, and by which process.
 *
 * A shim is a library that LD_PRELOAD puts before libc in the processes of one re-run. What it does is told by a
 * variable of its own, REPROOF_SHIM_<NAME>; without it the shim does nothing. In the file REPROOF_SHIMS each process
 * that has loaded it, forked ones too, appends a line: shim, process, personality, state, program. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/personality.h>
#endif

/* The function that ours stands before; found once. */
#define NEXT(name) \
    static __typeof__(&name) next_function; \
    if (!next_function) next_function = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static const char *shim_name;
static const char *shim_state = "on";

static void shim_tell(void)
{
    const char *log = getenv("REPROOF_SHIMS");
    if (!log) return;
    int kept = errno;
    char program[512], line[768];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = 0;
    int size = snprintf(line, sizeof line, "%s %d %lx %s %s\n", shim_name, (int)getpid(),
                        (unsigned long)personality(0xffffffff), shim_state, program);
    int file = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file >= 0) {
        ssize_t written = write(file, line, (size_t)size);
        (void)written;
        close(file);
    }
    errno = kept;
}

/* To be called by each shim's constructor, when it is ready. */
static void shim_loaded(const char *name, const char *state)
{
    shim_name = name;
    shim_state = state;
    shim_tell();
    pthread_atfork(NULL, NULL, shim_tell);
}
