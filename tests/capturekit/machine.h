/*
 * The machine under the test programs: threads with an IRQL each, time, and where the trace goes.
 * Everything the shim writes goes to standard output.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <ntddk.h>
#include <TraceLoggingProvider.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

static __thread KIRQL MachineIrql;
static __thread ULONG MachineThread = 4;
static ULONG64 MachineTime;
static int MachineListening = 1;
static pthread_mutex_t MachineProcessor = PTHREAD_MUTEX_INITIALIZER;

KIRQL KeGetCurrentIrql(VOID)
{
    return MachineIrql;
}

/* There is one processor; at DISPATCH_LEVEL nobody else gets it. */
VOID KeRaiseIrql(KIRQL NewIrql, KIRQL *OldIrql)
{
    *OldIrql = MachineIrql;
    MachineIrql = NewIrql;
    (void)pthread_mutex_lock(&MachineProcessor);
}

VOID KeLowerIrql(KIRQL NewIrql)
{
    (void)pthread_mutex_unlock(&MachineProcessor);
    MachineIrql = NewIrql;
}

ULONG64 KeQueryInterruptTime(VOID)
{
    return __atomic_add_fetch(&MachineTime, 10, __ATOMIC_SEQ_CST);
}

ULONG KeGetCurrentProcessorNumberEx(PVOID Number)
{
    (void)Number;
    return MachineThread & 1;
}

HANDLE PsGetCurrentProcessId(VOID)
{
    return (HANDLE)(ULONG_PTR)4;
}

HANDLE PsGetCurrentThreadId(VOID)
{
    return (HANDLE)(ULONG_PTR)MachineThread;
}

void TlgLine(const char *Text)
{
    fputs(Text, stdout); /* one call is one line, also among threads */
}

int TlgListening(void)
{
    return MachineListening;
}

ULONG TlgThread(void)
{
    return MachineThread;
}

#ifdef KMCLTRACE_LINES
static VOID MachineSink(const CHAR *Line, SIZE_T Length, PVOID Context)
{
    if (Length != strlen(Line) || Line[Length - 1] != '\n' || Context != &MachineTime) {
        fputs("a line is not as promised\n", stderr);
        exit(3);
    }
    fputs(Line, stdout);
}
#define MACHINE_START() KmclTraceStart(MachineSink, &MachineTime)
#else
#define MACHINE_START() KmclTraceStart()
#endif

typedef VOID MACHINE_WORK(PVOID Context);
typedef struct _MACHINE_JOB {
    MACHINE_WORK *Work;
    PVOID Context;
    ULONG Thread;
    KIRQL Irql;
} MACHINE_JOB;

static void *MachineRun(void *Given)
{
    MACHINE_JOB *job = (MACHINE_JOB *)Given;

    MachineThread = job->Thread;
    MachineIrql = job->Irql;
    job->Work(job->Context);
    return NULL;
}

/* Runs a function on a thread of its own, with this id and IRQL. */
static inline pthread_t MachineBegin(MACHINE_JOB *Job)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, MachineRun, Job) != 0) {
        fputs("no thread\n", stderr);
        exit(3);
    }
    return thread;
}

/* The same, and waits for its end. */
static inline void MachineOn(ULONG Thread, KIRQL Irql, MACHINE_WORK *Work, PVOID Context)
{
    MACHINE_JOB job = { Work, Context, Thread, Irql };

    (void)pthread_join(MachineBegin(&job), NULL);
}

#define REQUIRE(Condition) \
    do { \
        if (!(Condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #Condition); \
            exit(3); \
        } \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
