// Writes down where a process is when a signal ends it, be it a fault or SIGTERM, which comes when
// its time is up. In the handler only what a signal handler may do: no memory is allocated, nothing
// is formatted by the C library, and there is a stack for the case that the ordinary one is used up.
#include "crash_trace.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

namespace {

const int ENDING[] = {SIGTERM, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
const int FRAMES = 64;
const size_t STACK_BYTES = 1 << 18; // AVX-512's registers alone take some of it

int file = -1;
pthread_t owner;
int taken = 0;
char own_stack[STACK_BYTES];

void put(const char* text)
{
    size_t left = strlen(text);
    while (left)
    {
        const ssize_t written = write(file, text, left);
        if (written <= 0)
            return;
        text += written;
        left -= (size_t)written;
    }
}

void put_number(unsigned long value, unsigned base)
{
    char digits[24];
    char* at = digits + sizeof(digits) - 1;
    *at = 0;
    do
    {
        *--at = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    put(at);
}

// One line per frame: whether it was interrupted, its place in the module, its place in the
// exported function at hand, that function, the module.
_Unwind_Reason_Code put_frame(_Unwind_Context* context, void* count)
{
    if (++*(int*)count > FRAMES)
        return _URC_END_OF_STACK;
    int interrupted = 0;
    unsigned long at = _Unwind_GetIPInfo(context, &interrupted);
    if (!at)
        return _URC_END_OF_STACK;
    // Elsewhere it is where a call returns to, which may be the next line or function.
    const unsigned long place = interrupted ? at : at - 1;
    Dl_info found;
    memset(&found, 0, sizeof(found));
    const bool known = dladdr((void*)place, &found) != 0;
    put(interrupted ? "at " : "by ");
    put_number(known ? place - (unsigned long)found.dli_fbase : place, 16);
    put(" ");
    put(known && found.dli_sname ? found.dli_sname : "-");
    put(" ");
    put(known && found.dli_fname ? found.dli_fname : "-");
    put("\n");
    return _URC_NO_REASON;
}

void put_trace(int number)
{
    put("signal ");
    put_number((unsigned long)number, 10);
    put("\n");
    int count = 0;
    _Unwind_Backtrace(put_frame, &count);
    put("end\n");
}

void on_fatal(int number, siginfo_t*, void*)
{
    if (!__atomic_exchange_n(&taken, 1, __ATOMIC_SEQ_CST))
    {
        owner = pthread_self();
        put_trace(number);
    }
    else if (!pthread_equal(owner, pthread_self()))
    {
        for (;;) // the first one ends the process
            pause();
    }
    signal(number, SIG_DFL);
    raise(number); // delivered when this returns
}

} // namespace

bool hx_trace_crashes(const char* path)
{
    file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file < 0)
        return false;
    stack_t stack;
    memset(&stack, 0, sizeof(stack));
    stack.ss_sp = own_stack;
    stack.ss_size = sizeof(own_stack);
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    bool done = sigaltstack(&stack, 0) == 0;
    // A fault in the handler itself must end the process and not wait for it.
    sigemptyset(&action.sa_mask);
    action.sa_sigaction = on_fatal;
    for (int number : ENDING)
        done = sigaction(number, &action, 0) == 0 && done;
    return done;
}
