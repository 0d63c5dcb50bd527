/* Lesser instruction sets, for every library at once: REPROOF_SHIM_CPUID=x86-64-v3|x86-64-v2.
 *
 * The CPUID instruction is made to trap (arch_prctl(ARCH_SET_CPUID); Intel since Ivy Bridge, where the hypervisor lets
 * it), and is answered without the bits of what is left out. libc chooses its own functions before this library runs:
 * GLIBC_TUNABLES goes with it. Whatever else handles SIGSEGV still does. */
#include "shim.h"
#include <asm/prctl.h>
#include <signal.h>
#include <ucontext.h>

static int level; /* 2 or 3; 0 for no mask */
static struct sigaction theirs;
static int they_act;

static long set_cpuid(unsigned long allowed)
{
    long result; /* without libc: this runs in a signal handler, and changes no errno */
    __asm__ volatile("syscall" : "=a"(result) : "0"((long)SYS_arch_prctl), "D"((long)ARCH_SET_CPUID), "S"(allowed) : "rcx", "r11", "memory");
    return result;
}

#define BIT(number) (1u << (number))

static void mask(uint32_t leaf, uint32_t part, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    if (leaf == 7 && part == 0) {
        /* AVX-512 of all kinds */
        *b &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31));
        *c &= ~(BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14));
        *d &= ~(BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25)); /* and AMX */
        *c &= ~(BIT(8) | BIT(9) | BIT(10)); /* GFNI, VAES, VPCLMULQDQ */
        if (level < 3) *b &= ~(BIT(3) | BIT(5) | BIT(8)); /* BMI1, AVX2, BMI2 */
    }
    if (leaf == 7 && part == 1) { /* AVX-VNNI and its kin, AVX10, APX */
        *a = 0;
        *d = 0;
    }
    if ((leaf == 7 && part > 1) || leaf == 0x24 || leaf == 0x1d || leaf == 0x1e) *a = *b = *c = *d = 0;
    if (leaf == 1 && level < 3) *c &= ~(BIT(12) | BIT(28) | BIT(29)); /* FMA, AVX, F16C */
}

static void trapped(int number, siginfo_t *about, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *instruction = (const unsigned char *)registers[REG_RIP];
    if (about->si_code == SI_KERNEL && instruction[0] == 0x0f && instruction[1] == 0xa2) {
        uint32_t leaf = (uint32_t)registers[REG_RAX], part = (uint32_t)registers[REG_RCX], a, b, c, d;
        set_cpuid(1);
        __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(leaf), "2"(part));
        set_cpuid(0);
        mask(leaf, part, &a, &b, &c, &d);
        registers[REG_RAX] = a;
        registers[REG_RBX] = b;
        registers[REG_RCX] = c;
        registers[REG_RDX] = d;
        registers[REG_RIP] += 2;
        return;
    }
    if (they_act && theirs.sa_flags & SA_SIGINFO) {
        theirs.sa_sigaction(number, about, context);
    } else if (they_act && theirs.sa_handler != SIG_DFL && theirs.sa_handler != SIG_IGN) {
        theirs.sa_handler(number);
    } else {
        NEXT(sigaction);
        struct sigaction by_default;
        memset(&by_default, 0, sizeof by_default);
        by_default.sa_handler = SIG_DFL;
        next_function(SIGSEGV, &by_default, NULL); /* the instruction comes again, and ends the process */
    }
}

int sigaction(int number, const struct sigaction *wanted, struct sigaction *before)
{
    NEXT(sigaction);
    if (number != SIGSEGV || !level) return next_function(number, wanted, before);
    struct sigaction kept = theirs;
    if (wanted) {
        theirs = *wanted;
        they_act = 1;
    }
    if (before) *before = kept;
    return 0;
}

sighandler_t signal(int number, sighandler_t handler)
{
    NEXT(signal);
    if (number != SIGSEGV || !level) return next_function(number, handler);
    struct sigaction wanted, before;
    memset(&wanted, 0, sizeof wanted);
    wanted.sa_handler = handler;
    sigaction(number, &wanted, &before);
    return before.sa_flags & SA_SIGINFO ? SIG_DFL : before.sa_handler;
}

/* A trap that is blocked ends the process: ours never is. */
static const sigset_t *without_ours(int how, const sigset_t *set, sigset_t *changed)
{
    if (!set || !level || how == SIG_UNBLOCK) return set;
    *changed = *set;
    sigdelset(changed, SIGSEGV);
    return changed;
}

int sigprocmask(int how, const sigset_t *set, sigset_t *before)
{
    NEXT(sigprocmask);
    sigset_t changed;
    return next_function(how, without_ours(how, set, &changed), before);
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *before)
{
    NEXT(pthread_sigmask);
    sigset_t changed;
    return next_function(how, without_ours(how, set, &changed), before);
}

__attribute__((constructor)) static void begin(void)
{
    const char *told = getenv("REPROOF_SHIM_CPUID");
    const char *state = "on";
    if (told && *told) {
        NEXT(sigaction);
        struct sigaction ours;
        memset(&ours, 0, sizeof ours);
        ours.sa_sigaction = trapped;
        ours.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
        next_function(SIGSEGV, &ours, &theirs);
        they_act = theirs.sa_flags & SA_SIGINFO || theirs.sa_handler != SIG_DFL;
        level = !strcmp(told, "x86-64-v2") ? 2 : 3;
        if (set_cpuid(0)) {
            next_function(SIGSEGV, &theirs, NULL);
            level = 0;
            state = "refused";
        }
    }
    shim_loaded("cpuid", state);
}
