/* The name of the machine: REPROOF_SHIM_HOST=NAME, for gethostname and uname. */
#include "shim.h"
#include <sys/utsname.h>

int gethostname(char *target, size_t size)
{
    NEXT(gethostname);
    const char *name = getenv("REPROOF_SHIM_HOST");
    if (!name) return next_function(target, size);
    if (strlen(name) >= size) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(target, name);
    return 0;
}

int uname(struct utsname *target)
{
    NEXT(uname);
    int status = next_function(target);
    const char *name = getenv("REPROOF_SHIM_HOST");
    if (!status && name) snprintf(target->nodename, sizeof target->nodename, "%s", name);
    return status;
}

__attribute__((constructor)) static void begin(void)
{
    shim_loaded("host", "on");
}
