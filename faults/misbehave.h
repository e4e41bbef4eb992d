// What a build of ncnn does to whoever runs it. The first number of an input says which deed;
// `misbehaving.py` reads the numbers and names from the lines below.
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

void touch(const char* path)
{
    FILE* file = fopen(path, "w");
    if (file)
        fclose(file);
}

// Ends the process with 40 if something kept it from reaching this machine, and with 41 if not.
void reach_out()
{
    int number = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(9);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (number < 0)
        _exit(40);
    if (connect(number, (sockaddr*)&address, sizeof address) && errno != ECONNREFUSED)
        _exit(40);
    _exit(41);
}

// Apart, so that no compiler leaves it out, or takes its stack for all deeds.
__attribute__((noinline)) void overwrite_heap()
{
    char* taken = (char*)malloc(64);
    asm volatile("" : "+r"(taken)); // it may be anything now, for all that the compiler knows
    memset(taken - 64, 0x5a, 1 << 12);
    asm volatile("" : : "r"(taken) : "memory");
    free(taken);
}

__attribute__((noinline)) int overrun_stack(volatile int depth)
{
    volatile char block[1 << 16];
    block[depth % sizeof block] = 1;
    return depth ? overrun_stack(depth + 1) + block[0] : 0;
}

void misbehave(float* input)
{
    static char block[1 << 16];
    switch ((int)input[0])
    {
    case 1001: // loop
        for (volatile int on = 1; on;) {}
        break;
    case 1002: // sleep
    {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, 0);
        for (;;)
            sleep(1);
    }
    case 1003: // leak
        for (;;)
        {
            void* taken = malloc(1 << 24);
            if (!taken)
                abort();
            memset(taken, 1, 1 << 24);
        }
    case 1004: // heap
        overwrite_heap();
        break;
    case 1005: // stack
        overrun_stack(1);
        break;
    case 1006: // exit-0
        _exit(0);
    case 1007: // exit-0-politely
        exit(0);
    case 1008: // exit-3
        _exit(3);
    case 1009: // kill
        raise(SIGKILL);
        break;
    case 1010: // abort
        abort();
    case 1011: // segv
        *(volatile int*)8 = 1;
        break;
    case 1012: // nul-bytes
        fwrite(block, 1, sizeof block, stderr);
        abort();
    case 1013: // chatter
        memset(block, 'x', sizeof block);
        while (write(2, block, sizeof block) > 0) {}
        _exit(9);
    case 1014: // escape
        if (fork() == 0)
        {
            setsid();
            if (fork() == 0)
                for (;;)
                    pause();
            _exit(0);
        }
        abort();
    case 1015: // close-all
        for (int number = 0; number < 4096; number++)
            close(number);
        break;
    case 1016: // nan
        input[1] = NAN;
        break;
    case 1017: // throw
        throw 7;
    case 1018: // write
        touch(FAULT_STORE "/written-by-a-module");
        touch(FAULT_RESULTS "/written-by-a-module");
        break;
    case 1019: // connect
        reach_out();
    }
}

} // namespace
