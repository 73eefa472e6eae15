/* SPDX-License-Identifier: Apache-2.0 */
/* test_loop.c - mailbox order, deferral, stopping, timers; run it under TSan
 *
 * What happens is noted in a trace, one letter each. */
#include "hookbridge/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hookbridge/mem.h"

static char trace[64];

struct note {
	struct hb_task task;
	struct hb_loop *loop;
	char letter;
	int again;
	bool last;
};

static void
trace_add(char letter)
{
	size_t len = strlen(trace);

	assert_true(len < sizeof(trace) - 1);
	trace[len] = letter;
	trace[len + 1] = '\0';
}

static void
on_note(struct hb_task *task)
{
	struct note *note = hb_container_of(task, struct note, task);

	assert_ptr_equal(hb_loop_current(), note->loop);
	trace_add(note->letter);
	if (note->again-- > 0)
		hb_loop_post(note->loop, task);
	if (note->last)
		hb_loop_stop(note->loop);
}

static struct note
note_make(struct hb_loop *loop, char letter)
{
	return (struct note){
	    .task.run = on_note, .loop = loop, .letter = letter};
}

static struct hb_loop *
loop_make(void)
{
	struct hb_error err;
	struct hb_loop *loop = hb_loop_new("test", &err);

	assert_non_null(loop);
	trace[0] = '\0';
	return loop;
}

static void
test_runs_here(void **state)
{
	struct hb_loop *loop = loop_make();
	struct note a = note_make(loop, 'a'), b = note_make(loop, 'b'),
		    c = note_make(loop, 'c');

	(void)state;
	assert_string_equal(hb_loop_name(loop), "test");
	assert_non_null(hb_loop_base(loop));
	assert_null(hb_loop_current());
	hb_loop_post(loop, &a.task);
	hb_loop_post(loop, &b.task);
	hb_loop_stop(loop);
	hb_loop_stop(loop);
	hb_loop_run(loop);
	assert_string_equal(trace, "ab");
	assert_null(hb_loop_current());

	/* Once stopped, it can run again. */
	hb_loop_post(loop, &c.task);
	hb_loop_stop(loop);
	hb_loop_run(loop);
	assert_string_equal(trace, "abc");
	hb_loop_free(loop);
	hb_loop_free(NULL);
}

static void
test_free_runs_the_rest(void **state)
{
	struct hb_loop *loop = loop_make();
	struct note a = note_make(loop, 'a'), b = note_make(loop, 'b');

	(void)state;
	a.again = 2;
	hb_loop_defer(loop, &b.task);
	hb_loop_post(loop, &a.task);
	hb_loop_free(loop);
	assert_string_equal(trace, "baaa");
}

/* A task posted again from its own run waits for the next turn. */
static void
test_post_again(void **state)
{
	struct hb_loop *loop = loop_make();
	struct note a = note_make(loop, 'a'), b = note_make(loop, 'b');

	(void)state;
	a.again = 1;
	hb_loop_post(loop, &a.task);
	hb_loop_post(loop, &b.task);
	hb_loop_stop(loop);
	hb_loop_run(loop);
	assert_string_equal(trace, "ab");
	hb_loop_free(loop);
	assert_string_equal(trace, "aba");
}

/* --- timers and deferral -------------------------------------------------- */

struct alarm {
	struct hb_timer timer;
	struct note *defer;
	struct alarm *next; /* rings soon after the last ring of this one */
	char letter;
	bool last, repeat;
};

static void
on_alarm(struct hb_timer *timer)
{
	struct alarm *alarm = hb_container_of(timer, struct alarm, timer);

	trace_add(alarm->letter);
	if (alarm->defer != NULL)
		hb_loop_defer(timer->loop, &alarm->defer->task);
	if (alarm->repeat) {
		alarm->repeat = false;
		hb_timer_set(timer, 0);
	} else if (alarm->next != NULL) {
		hb_timer_set(&alarm->next->timer, 2);
	}
	if (alarm->last)
		hb_loop_stop(timer->loop);
}

static void
alarm_init(struct alarm *alarm, struct hb_loop *loop, char letter)
{
	*alarm = (struct alarm){.letter = letter};
	hb_timer_init(&alarm->timer, loop, on_alarm);
}

static void
test_timers(void **state)
{
	struct hb_loop *loop = loop_make();
	struct alarm a, b, c, d;

	(void)state;
	alarm_init(&a, loop, 'a');
	alarm_init(&b, loop, 'b');
	alarm_init(&c, loop, 'c');
	alarm_init(&d, loop, 'd');
	hb_timer_cancel(&a.timer); /* not set yet */
	hb_timer_set(&b.timer, 0);
	b.repeat = true;
	b.next = &a;
	hb_timer_set(&c.timer, 1);
	hb_timer_cancel(&c.timer);
	hb_timer_set(&d.timer, 3600 * 1000);
	a.next = &d; /* moved */
	d.last = true;
	hb_loop_run(loop);
	assert_string_equal(trace, "bbad");
	hb_timer_set(&a.timer, 1);
	hb_timer_fini(&a.timer); /* while pending */
	hb_timer_fini(&a.timer);
	hb_timer_fini(&b.timer);
	hb_timer_fini(&c.timer);
	hb_timer_fini(&d.timer);
	hb_loop_free(loop);
	assert_string_equal(trace, "bbad");
}

/* Both timers are due in one turn: the deferred task waits for the second. */
static void
test_defer(void **state)
{
	struct hb_loop *loop = loop_make();
	struct note x = note_make(loop, 'x'), y = note_make(loop, 'y');
	struct alarm a, b;

	(void)state;
	alarm_init(&a, loop, 'a');
	alarm_init(&b, loop, 'b');
	a.defer = &x;
	b.defer = &y;
	y.last = true;
	hb_timer_set(&a.timer, 0);
	hb_timer_set(&b.timer, 0);
	hb_loop_run(loop);
	assert_string_equal(trace, "abxy");
	hb_timer_fini(&a.timer);
	hb_timer_fini(&b.timer);
	hb_loop_free(loop);
}

/* --- threads -------------------------------------------------------------- */

#define POSTERS 3
#define POSTS 3000

struct letter {
	struct hb_task task;
	struct poster *poster;
	int number;
};

struct poster {
	pthread_t thread;
	struct hb_loop *loop;
	int seen; /* the loop's thread only */
};

/* Each task frees itself. */
static void
on_letter(struct hb_task *task)
{
	struct letter *letter = hb_container_of(task, struct letter, task);

	if (letter->number != letter->poster->seen++)
		abort(); /* cmocka's assertions are for the main thread */
	free(letter);
}

static void *
post_many(void *arg)
{
	struct poster *poster = arg;

	for (int i = 0; i < POSTS; i++) {
		struct letter *letter = hb_xmalloc(sizeof(*letter));

		*letter = (struct letter){
		    .task.run = on_letter, .poster = poster, .number = i};
		hb_loop_post(poster->loop, &letter->task);
	}
	return NULL;
}

static void
test_order_of_posting(void **state)
{
	struct hb_loop *loop = loop_make();
	struct poster posters[POSTERS];
	struct hb_error err;

	(void)state;
	assert_true(hb_loop_start(loop, &err));
	for (int i = 0; i < POSTERS; i++) {
		posters[i] = (struct poster){.loop = loop};
		pthread_create(
		    &posters[i].thread, NULL, post_many, &posters[i]);
	}
	for (int i = 0; i < POSTERS; i++)
		pthread_join(posters[i].thread, NULL);
	hb_loop_stop(loop);
	hb_loop_join(loop);
	for (int i = 0; i < POSTERS; i++)
		assert_int_equal(posters[i].seen, POSTS);
	hb_loop_free(loop);
}

/* Two loops throw one task to and fro; the last throw stops both. */
struct ball {
	struct hb_task task;
	struct hb_loop *from, *to;
	int throws;
};

static void
on_ball(struct hb_task *task)
{
	struct ball *ball = hb_container_of(task, struct ball, task);
	struct hb_loop *here = ball->to;

	if (hb_loop_current() != here)
		abort();
	ball->to = ball->from;
	ball->from = here;
	if (--ball->throws > 0) {
		hb_loop_post(ball->to, task);
		return;
	}
	hb_loop_stop(ball->to);
	hb_loop_stop(here);
}

static void
test_to_and_fro(void **state)
{
	struct hb_loop *a = loop_make(), *b = loop_make();
	struct ball ball = {
	    .task.run = on_ball, .from = a, .to = b, .throws = 5000};
	struct hb_error err;

	(void)state;
	assert_true(hb_loop_start(a, &err));
	assert_true(hb_loop_start(b, &err));
	hb_loop_post(b, &ball.task);
	hb_loop_join(a);
	hb_loop_join(b);
	assert_int_equal(ball.throws, 0);
	hb_loop_free(a);
	hb_loop_free(b);
}

struct look {
	struct hb_task task;
	char name[16];
	sigset_t blocked;
};

static void
on_look(struct hb_task *task)
{
	struct look *look = hb_container_of(task, struct look, task);

	pthread_getname_np(pthread_self(), look->name, sizeof(look->name));
	pthread_sigmask(SIG_SETMASK, NULL, &look->blocked);
}

static void
test_thread_is_named_and_deaf(void **state)
{
	struct hb_error err;
	struct hb_loop *loop = hb_loop_new("a-long-name-of-a-loop", &err);
	struct look look = {.task.run = on_look};
	sigset_t mine;

	(void)state;
	assert_true(hb_loop_start(loop, &err));
	hb_loop_post(loop, &look.task);
	hb_loop_stop(loop);
	hb_loop_join(loop);
	hb_loop_free(loop);
	assert_string_equal(look.name, "a-long-name-of-");
	assert_int_equal(sigismember(&look.blocked, SIGTERM), 1);
	assert_int_equal(sigismember(&look.blocked, SIGHUP), 1);
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	assert_int_equal(sigismember(&mine, SIGTERM), 0);
}

/* Runs fn with a loop in a child, which must abort. */
static void
assert_aborts(void (*fn)(struct hb_loop *loop))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct hb_loop *loop = hb_loop_new("test", NULL);

		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		fn(loop);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void
post_twice(struct hb_loop *loop)
{
	struct note a = note_make(loop, 'a');

	hb_loop_post(loop, &a.task);
	hb_loop_post(loop, &a.task);
}

/* Our own bug is told at once, not at the next crash. */
static void
test_posting_twice_aborts(void **state)
{
	(void)state;
	assert_aborts(post_twice);
}

static void
run_without_files(struct hb_loop *loop)
{
	for (int fd = 0; fd < 64; fd++) /* epoll's among them */
		close(fd);
	hb_loop_run(loop);
}

/* A loop never ends because waiting failed: nobody would notice. */
static void
test_broken_loop_aborts(void **state)
{
	(void)state;
	assert_aborts(run_without_files);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_runs_here),
	    cmocka_unit_test(test_free_runs_the_rest),
	    cmocka_unit_test(test_post_again),
	    cmocka_unit_test(test_timers),
	    cmocka_unit_test(test_defer),
	    cmocka_unit_test(test_order_of_posting),
	    cmocka_unit_test(test_to_and_fro),
	    cmocka_unit_test(test_thread_is_named_and_deaf),
	    cmocka_unit_test(test_posting_twice_aborts),
	    cmocka_unit_test(test_broken_loop_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
