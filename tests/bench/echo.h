/* echo.h: what the echo server and its peer agree on. */
#ifndef DAYBOOK_TESTS_BENCH_ECHO_H
#define DAYBOOK_TESTS_BENCH_ECHO_H

#define ECHO_METHOD "/daybook.bench.Echo/Echo"

#endif
