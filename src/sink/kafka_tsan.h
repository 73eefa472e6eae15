/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_tsan.h - librdkafka as ThreadSanitizer understands it
 *
 * Debian's librdkafka makes its threads and locks by <threads.h>. The
 * sanitizer follows POSIX threads only: it crashes in threads it has not seen
 * begin, and takes for races what C11 locks order. A build with
 * -fsanitize=thread defines these functions in the program itself, where the
 * library finds them before the C library's. Included by one .c file.
 *
 * The library itself is not instrumented: its atomics remain unseen. Reports
 * about accesses inside it are suppressed; those in our code that it only
 * leads to are not. */
#ifndef HB_SINK_KAFKA_TSAN_H
#define HB_SINK_KAFKA_TSAN_H

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

#include "hookbridge/mem.h"

const char *__tsan_default_suppressions(void);

const char *
__tsan_default_suppressions(void)
{
	return "race:librdkafka.so\n";
}

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "mtx_t");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "cnd_t");
_Static_assert(sizeof(thrd_t) == sizeof(pthread_t), "thrd_t");

struct c11_start {
	thrd_start_t run;
	void *arg;
};

static int
c11_result(int rc)
{
	return rc == 0		 ? thrd_success
	       : rc == ETIMEDOUT ? thrd_timedout
				 : thrd_error;
}

static void *
c11_thread(void *arg)
{
	struct c11_start start = *(struct c11_start *)arg;

	free(arg);
	return (void *)(intptr_t)start.run(start.arg);
}

int
thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
	struct c11_start *start = hb_xmalloc(sizeof(*start));
	int rc;

	*start = (struct c11_start){run, arg};
	rc = pthread_create(thread, NULL, c11_thread, start);
	if (rc != 0)
		free(start);
	return c11_result(rc);
}

int
thrd_join(thrd_t thread, int *result)
{
	void *value = NULL;
	int rc = pthread_join(thread, &value);

	if (result != NULL)
		*result = (int)(intptr_t)value;
	return c11_result(rc);
}

int
mtx_init(mtx_t *mutex, int type)
{
	pthread_mutexattr_t attr;
	int rc;

	pthread_mutexattr_init(&attr);
	if (type & mtx_recursive)
		pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	rc = pthread_mutex_init((pthread_mutex_t *)mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	return c11_result(rc);
}

int
mtx_lock(mtx_t *mutex)
{
	return c11_result(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int
mtx_unlock(mtx_t *mutex)
{
	return c11_result(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

void
mtx_destroy(mtx_t *mutex)
{
	pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

int
cnd_init(cnd_t *cond)
{
	return c11_result(pthread_cond_init((pthread_cond_t *)cond, NULL));
}

int
cnd_signal(cnd_t *cond)
{
	return c11_result(pthread_cond_signal((pthread_cond_t *)cond));
}

int
cnd_broadcast(cnd_t *cond)
{
	return c11_result(pthread_cond_broadcast((pthread_cond_t *)cond));
}

int
cnd_wait(cnd_t *cond, mtx_t *mutex)
{
	return c11_result(pthread_cond_wait(
	    (pthread_cond_t *)cond, (pthread_mutex_t *)mutex));
}

int
cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex,
    const struct timespec *restrict due)
{
	return c11_result(pthread_cond_timedwait(
	    (pthread_cond_t *)cond, (pthread_mutex_t *)mutex, due));
}

void
cnd_destroy(cnd_t *cond)
{
	pthread_cond_destroy((pthread_cond_t *)cond);
}

#endif
