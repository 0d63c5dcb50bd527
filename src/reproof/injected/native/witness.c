/* Changes nothing; says which processes load shims at all, and with which personality they run. */
#include "shim.h"

__attribute__((constructor)) static void begin(void)
{
    shim_loaded("witness", "on");
}
