/* The order in which folders are listed: REPROOF_SHIM_READDIR=reversed|sorted|shuffled:SEED.
 *
 * A stream is read to its end at the first readdir, and handed out in the other order. readdir, readdir64, readdir_r,
 * scandir and what moves within a stream are covered; glob, ftw and fts of libc itself, and programs that call
 * getdents64 without libc, are not. */
#include "shim.h"
#include <dirent.h>
#include <stddef.h>

_Static_assert(sizeof(ino_t) == 8 && sizeof(off_t) == 8, "one kind of entry only");

struct listing {
    DIR *stream;
    struct dirent **entries;
    long count, next;
    struct listing *following;
};

static enum { AS_IS, REVERSED, SORTED, SHUFFLED } order;
static uint64_t seed;
static struct listing *listings;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

/* Under these names libc has them for 64 bits; its headers declare them with another type of the same form. */
extern struct dirent *ours_readdir64(DIR *) __asm__("readdir64");
extern int ours_readdir64_r(DIR *, struct dirent *, struct dirent **) __asm__("readdir64_r");
extern int ours_scandir64(const char *, struct dirent ***, int (*)(const struct dirent *),
                          int (*)(const struct dirent **, const struct dirent **)) __asm__("scandir64");

static int by_name(const void *one, const void *other)
{
    return strcmp((*(struct dirent *const *)one)->d_name, (*(struct dirent *const *)other)->d_name);
}

static uint64_t drawn(void)
{
    uint64_t mixed = (seed += 0x9e3779b97f4a7c15ull); /* splitmix64 */
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebull;
    return mixed ^ (mixed >> 31);
}

static void exchange(struct dirent **entries, long one, long other)
{
    struct dirent *kept = entries[one];
    entries[one] = entries[other];
    entries[other] = kept;
}

static void arrange(struct dirent **entries, long count)
{
    if (order == REVERSED)
        for (long place = 0; place < count / 2; place++) exchange(entries, place, count - 1 - place);
    if (order == SORTED || order == SHUFFLED) qsort(entries, (size_t)count, sizeof *entries, by_name);
    if (order == SHUFFLED) {
        uint64_t kept = seed;
        for (long place = count - 1; place > 0; place--) exchange(entries, place, (long)(drawn() % (uint64_t)(place + 1)));
        seed = kept; /* the same folder, the same order */
    }
}

static struct dirent *really(DIR *stream)
{
    static struct dirent *(*next_function)(DIR *);
    if (!next_function) next_function = (struct dirent * (*)(DIR *)) dlsym(RTLD_NEXT, "readdir64");
    if (!next_function) next_function = (struct dirent * (*)(DIR *)) dlsym(RTLD_NEXT, "readdir");
    return next_function(stream);
}

static struct listing **place_of(DIR *stream)
{
    struct listing **place = &listings;
    while (*place && (*place)->stream != stream) place = &(*place)->following;
    return place;
}

static void drop(DIR *stream)
{
    struct listing **place = place_of(stream), *gone = *place;
    if (!gone) return;
    *place = gone->following;
    for (long number = 0; number < gone->count; number++) free(gone->entries[number]);
    free(gone->entries);
    free(gone);
}

static struct listing *gathered(DIR *stream)
{
    struct listing *found = *place_of(stream);
    if (found) return found;
    found = calloc(1, sizeof *found);
    if (!found) return NULL;
    struct dirent *entry;
    long room = 0;
    while ((entry = really(stream))) {
        if (found->count == room) {
            room = room ? 2 * room : 64;
            struct dirent **more = realloc(found->entries, (size_t)room * sizeof *more);
            if (!more) break;
            found->entries = more;
        }
        size_t size = entry->d_reclen;
        struct dirent *copy = malloc(size > sizeof *copy ? size : sizeof *copy);
        if (!copy) break;
        memcpy(copy, entry, size);
        found->entries[found->count++] = copy;
    }
    arrange(found->entries, found->count);
    found->stream = stream;
    found->following = listings;
    listings = found;
    return found;
}

struct dirent *readdir(DIR *stream)
{
    if (order == AS_IS) return really(stream);
    int kept = errno;
    pthread_mutex_lock(&guard);
    struct listing *found = gathered(stream);
    struct dirent *entry = found && found->next < found->count ? found->entries[found->next++] : NULL;
    pthread_mutex_unlock(&guard);
    errno = kept; /* which says at the end that there was no error */
    return entry;
}

struct dirent *ours_readdir64(DIR *stream)
{
    return readdir(stream);
}

static int handed_out(DIR *stream, struct dirent *entry, struct dirent **result)
{
    struct dirent *found = readdir(stream);
    if (found) memcpy(entry, found, found->d_reclen < sizeof *entry ? found->d_reclen : sizeof *entry);
    *result = found ? entry : NULL;
    return 0;
}

int readdir_r(DIR *stream, struct dirent *entry, struct dirent **result)
{
    return handed_out(stream, entry, result);
}

int ours_readdir64_r(DIR *stream, struct dirent *entry, struct dirent **result)
{
    return handed_out(stream, entry, result);
}

int scandir(const char *path, struct dirent ***list, int (*chosen)(const struct dirent *),
            int (*compared)(const struct dirent **, const struct dirent **))
{
    NEXT(scandir);
    int count = next_function(path, list, chosen, NULL);
    if (count > 0 && order != AS_IS) arrange(*list, count);
    if (count > 0 && compared)
        qsort(*list, (size_t)count, sizeof **list, (int (*)(const void *, const void *))compared);
    return count;
}

int ours_scandir64(const char *path, struct dirent ***list, int (*chosen)(const struct dirent *),
                   int (*compared)(const struct dirent **, const struct dirent **))
{
    return scandir(path, list, chosen, compared);
}

void rewinddir(DIR *stream)
{
    NEXT(rewinddir);
    pthread_mutex_lock(&guard);
    drop(stream); /* new entries are seen, as the standard wants it */
    pthread_mutex_unlock(&guard);
    next_function(stream);
}

long telldir(DIR *stream)
{
    NEXT(telldir);
    if (order == AS_IS) return next_function(stream);
    pthread_mutex_lock(&guard);
    struct listing *found = gathered(stream);
    long place = found ? found->next : 0;
    pthread_mutex_unlock(&guard);
    return place;
}

void seekdir(DIR *stream, long place)
{
    NEXT(seekdir);
    if (order == AS_IS) {
        next_function(stream, place);
        return;
    }
    pthread_mutex_lock(&guard);
    struct listing *found = gathered(stream);
    if (found && place >= 0 && place <= found->count) found->next = place;
    pthread_mutex_unlock(&guard);
}

int closedir(DIR *stream)
{
    NEXT(closedir);
    pthread_mutex_lock(&guard);
    drop(stream);
    pthread_mutex_unlock(&guard);
    return next_function(stream);
}

__attribute__((constructor)) static void begin(void)
{
    const char *told = getenv("REPROOF_SHIM_READDIR");
    if (told && !strcmp(told, "reversed")) order = REVERSED;
    if (told && !strcmp(told, "sorted")) order = SORTED;
    if (told && !strncmp(told, "shuffled:", 9)) {
        order = SHUFFLED;
        seed = strtoull(told + 9, NULL, 10);
    }
    shim_loaded("readdir", "on");
}
