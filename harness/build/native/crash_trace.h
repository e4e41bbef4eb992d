/* Where a process is when a signal ends it, in a file: see harness/execution/native_trace.py. */
#ifndef HARNESS_CRASH_TRACE_H
#define HARNESS_CRASH_TRACE_H

/* From now on fatal signals and SIGTERM write to the file at `path` before they end the process; what runs
 * out of stack can do so in the thread that called this. Whether it is so. */
bool hx_trace_crashes(const char* path);

#endif
