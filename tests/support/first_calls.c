/* Threads that make one system call after another for the first time, at the same moment. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>

enum { FIRST = 1000, CALLS = 400 };
static volatile int arrived[2];

static void *make_calls(void *which)
{
    int me = which != NULL;
    for (int turn = 1; turn <= CALLS; turn++) {
        arrived[me] = turn;
        while (arrived[!me] < turn)
            ;
        syscall(FIRST + turn); /* no such call: it is counted and does nothing */
    }
    return NULL;
}

int main(void)
{
    pthread_t other;
    pthread_create(&other, NULL, make_calls, "");
    make_calls(NULL);
    return pthread_join(other, NULL);
}
