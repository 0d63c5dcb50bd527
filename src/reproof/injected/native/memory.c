/* How much memory there is: REPROOF_SHIM_MEMORY=half.
 *
 * sysconf, sysinfo, get_phys_pages and get_avphys_pages, what is read of /proc/meminfo and of that of the nodes, and
 * the limits of cgroups. Only what is said is another: nothing is taken away, and no allocation fails for it. Not
 * covered: limits of the process (getrlimit), memory.stat of cgroups, and programs that ask the kernel without libc. */
#include "shim.h"
#include <ctype.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#define LONGEST 65536 /* bytes of such a file */
#define NO_LIMIT (1ull << 60) /* what is as large says that there is none */

static int halves(void)
{
    static int known;
    if (!known) {
        const char *told = getenv("REPROOF_SHIM_MEMORY");
        known = told && !strcmp(told, "half") ? 2 : 1;
    }
    return known == 2;
}

static int begins(const char *path, const char *words)
{
    return !strncmp(path, words, strlen(words));
}

static int ends(const char *path, const char *words)
{
    size_t size = strlen(path), length = strlen(words);
    return size >= length && !strcmp(path + size - length, words);
}

static int is_table(const char *path)
{
    return !strcmp(path, "/proc/meminfo") || (begins(path, "/sys/devices/system/node/") && ends(path, "/meminfo"));
}

static int is_limit(const char *path)
{
    return begins(path, "/sys/fs/cgroup/") && (ends(path, "/memory.max") || ends(path, "/memory.high") ||
                                               ends(path, "/memory.limit_in_bytes") ||
                                               ends(path, "/memory.soft_limit_in_bytes"));
}

/* Halve each number, in a table those of kB alone, but for the size of a page; the text gets no longer by it. */
static size_t halved(char *text, int table)
{
    char *target = text, *line = text;
    for (char *place = text; *place;) {
        if (!isdigit((unsigned char)*place)) {
            *target++ = *place++;
            if (target[-1] == '\n') line = target;
            continue;
        }
        char *after, digits[32];
        unsigned long long number = strtoull(place, &after, 10);
        int counts = table ? begins(after, " kB") && !begins(line, "Hugepagesize") : number < NO_LIMIT;
        int length = snprintf(digits, sizeof digits, "%llu", counts ? number / 2 : number);
        memcpy(target, digits, (size_t)length);
        target += length;
        place = after;
    }
    return (size_t)(target - text);
}

/* A file that tells half of what `path` does; -1 where `path` tells nothing of the kind. */
static int in_place_of(const char *path)
{
    if (!path || !halves() || !(is_table(path) || is_limit(path))) return -1;
    int kept = errno, file = -1, source = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    char *text = source >= 0 ? calloc(1, LONGEST + 1) : NULL;
    if (text) {
        size_t size = 0;
        ssize_t count;
        while (size < LONGEST && (count = read(source, text + size, LONGEST - size)) > 0) size += (size_t)count;
        size = halved(text, is_table(path));
        file = memfd_create("memory", MFD_CLOEXEC);
        if (file >= 0 && (write(file, text, size) != (ssize_t)size || lseek(file, 0, SEEK_SET))) {
            close(file);
            file = -1;
        }
        free(text);
    }
    if (source >= 0) close(source);
    errno = kept;
    return file;
}

#include "opening.h"

long sysconf(int name)
{
    NEXT(sysconf);
    long value = next_function(name);
    return (name == _SC_PHYS_PAGES || name == _SC_AVPHYS_PAGES) && value > 0 && halves() ? value / 2 : value;
}

long get_phys_pages(void)
{
    return sysconf(_SC_PHYS_PAGES);
}

long get_avphys_pages(void)
{
    return sysconf(_SC_AVPHYS_PAGES);
}

int sysinfo(struct sysinfo *target)
{
    NEXT(sysinfo);
    int status = next_function(target);
    if (!status && halves()) {
        target->totalram /= 2, target->freeram /= 2, target->sharedram /= 2, target->bufferram /= 2;
        target->totalswap /= 2, target->freeswap /= 2, target->totalhigh /= 2, target->freehigh /= 2;
    }
    return status;
}

__attribute__((constructor)) static void begin(void)
{
    shim_loaded("memory", "on");
}
