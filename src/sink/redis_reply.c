/* SPDX-License-Identifier: Apache-2.0 */
/* redis_reply.c - RESP that was read, and what errors mean
 *
 * hiredis finds where replies begin and end; what it builds of them is ours:
 * one struct hb_redis_reply for each connection, filled in place. Nothing is
 * allocated for a reply, whatever size a server claims for it.
 *
 * Errors are a word in capitals and a sentence. The table says what each word
 * means for us; it is searched from the top, words that it does not have
 * speak of the stream like a plain ERR. All of them tell that nothing was
 * written. */
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "redis.h"

/* More is not a reply to anything we ask. */
#define ELEMENTS_MAX 4096

/* --- reading -------------------------------------------------------------- */

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

/* The reply to fill when the task is it, or the first element of it. */
static bool
is_reply(const redisReadTask *task)
{
	return task->parent == NULL;
}

static bool
is_first_element(const redisReadTask *task)
{
	return task->parent != NULL && task->parent->parent == NULL &&
	       task->idx == 0;
}

static void *
on_string(const redisReadTask *task, char *str, size_t len)
{
	struct hb_redis_reply *reply = task->privdata;
	size_t kept = len < HB_REDIS_TEXT_MAX ? len : HB_REDIS_TEXT_MAX;

	if (is_reply(task))
		reply->type = task->type;
	if (is_reply(task) || is_first_element(task)) {
		memcpy(reply->text, str, kept);
		reply->text[kept] = '\0';
		reply->len = len;
	}
	return reply;
}

static void *
on_array(const redisReadTask *task, element_count count)
{
	struct hb_redis_reply *reply = task->privdata;

	if (count > ELEMENTS_MAX)
		return NULL; /* an error, for the reader */
	if (is_reply(task)) {
		reply->type = task->type;
		reply->num = (long long)count;
	}
	return reply;
}

static void *
on_integer(const redisReadTask *task, long long num)
{
	struct hb_redis_reply *reply = task->privdata;

	if (is_reply(task)) {
		reply->type = task->type;
		reply->num = num;
	}
	return reply;
}

static void *
on_nil(const redisReadTask *task)
{
	struct hb_redis_reply *reply = task->privdata;

	if (is_reply(task))
		reply->type = REDIS_REPLY_NIL;
	return reply;
}

static void
on_free(void *reply)
{
	(void)reply;
}

redisReader *
hb_redis_reader_new(struct hb_redis_reply *reply)
{
	/* Members that only later versions have stay NULL: such types leave
	 * the reply as hb_redis_reply_reset() made it. */
	static redisReplyObjectFunctions functions = {
	    .createString = on_string,
	    .createArray = on_array,
	    .createInteger = on_integer,
	    .createNil = on_nil,
	    .freeObject = on_free,
	};
	redisReader *reader = redisReaderCreateWithFunctions(&functions);

	if (reader == NULL)
		hb_bug("out of memory");
	hb_redis_reply_reset(reply);
	reader->privdata = reply;
	return reader;
}

void
hb_redis_reply_reset(struct hb_redis_reply *reply)
{
	reply->type = 0;
	reply->num = 0;
	reply->len = 0;
	reply->text[0] = '\0';
}

bool
hb_redis_reply_is(const struct hb_redis_reply *reply, const char *text)
{
	return reply->len == strlen(text) && reply->len <= HB_REDIS_TEXT_MAX &&
	       memcmp(reply->text, text, reply->len) == 0;
}

/* The length of the digits there, 0 when they are more than a number has. */
static size_t
digits(const char *text)
{
	size_t len = strspn(text, "0123456789");

	return len <= 20 ? len : 0;
}

bool
hb_redis_reply_is_entry(const struct hb_redis_reply *reply)
{
	size_t time = digits(reply->text), serial;

	if (reply->type != REDIS_REPLY_STRING || time == 0 ||
	    reply->text[time] != '-')
		return false;
	serial = digits(reply->text + time + 1);
	return serial > 0 && reply->len == time + 1 + serial;
}

/* --- errors --------------------------------------------------------------- */

#define IS_CLUSTER "this is a node of a cluster, which needs a cluster client"

static const struct hb_redis_rule rules[] = {
    /* The server, for now. */
    {"LOADING", HB_REDIS_SERVER, "loading", NULL, NULL},
    {"BUSY", HB_REDIS_SERVER, "busy", NULL, NULL},
    {"MASTERDOWN", HB_REDIS_SERVER, "masterdown", NULL, NULL},
    {"CLUSTERDOWN", HB_REDIS_SERVER, "clusterdown", NULL, NULL},
    {"OOM", HB_REDIS_SERVER, "oom", NULL, NULL},
    {"MISCONF", HB_REDIS_SERVER, "misconf", NULL, NULL},
    {"NOREPLICAS", HB_REDIS_SERVER, "noreplicas", NULL, NULL},
    {"TRYAGAIN", HB_REDIS_NOBODY, "tryagain", NULL, NULL},
    /* Another server, or another login. */
    {"READONLY", HB_REDIS_CONNECTION, "readonly", NULL, NULL},
    {"UNBLOCKED", HB_REDIS_CONNECTION, "readonly", NULL, NULL},
    {"NOAUTH", HB_REDIS_CONNECTION, "noauth", NULL,
	"the server asks for a password"},
    {"WRONGPASS", HB_REDIS_CONNECTION, "wrongpass", NULL,
	"wrong user or password"},
    /* This stream. */
    {"NOPERM", HB_REDIS_DEST, "noperm", NULL, NULL},
    {"WRONGTYPE", HB_REDIS_DEST, "wrongtype", NULL,
	"there is a key of this name that is no stream"},
    {"MOVED", HB_REDIS_DEST, "cluster", NULL, IS_CLUSTER},
    {"ASK", HB_REDIS_DEST, "cluster", NULL, IS_CLUSTER},
    {"CROSSSLOT", HB_REDIS_DEST, "cluster", NULL, IS_CLUSTER},
    /* This message. */
    {"ERR Elements are too large", HB_REDIS_MESSAGE, "too_large", "too-large",
	NULL},
    {"ERR Protocol error: invalid bulk length", HB_REDIS_MESSAGE, "too_large",
	"too-large", "larger than the server's proto-max-bulk-len"},
    {"NOSCRIPT", HB_REDIS_SCRIPT, "noscript", NULL, NULL},
    {"ERR", HB_REDIS_DEST, "error", NULL, NULL},
};

static bool
begins_with_words(struct hb_span text, const char *words)
{
	size_t len = strlen(words);

	return text.len >= len && memcmp(text.ptr, words, len) == 0 &&
	       (text.len == len || text.ptr[len] == ' ');
}

const struct hb_redis_rule *
hb_redis_rule_of(struct hb_span error)
{
	for (size_t i = 0; i < HB_COUNT(rules); i++)
		if (begins_with_words(error, rules[i].prefix))
			return &rules[i];
	return &rules[HB_COUNT(rules) - 1];
}

/* "ERR unknown command 'AUTH', with args beginning with: 'secret'": a server
 * that does not know a command repeats what it was given. */
static struct hb_span
without_arguments(struct hb_span error)
{
	static const char tail[] = ", with args beginning with";
	const char *found =
	    memmem(error.ptr, error.len, tail, sizeof(tail) - 1);

	if (found != NULL)
		error.len = (size_t)(found - error.ptr);
	return error;
}

void
hb_redis_error_text(const struct hb_redis_rule *rule, struct hb_span error,
    char *out, size_t size)
{
	if (rule->saying != NULL)
		snprintf(out, size, "%s", rule->saying);
	else
		hb_log_escape(without_arguments(error), out, size);
}
