/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - a record is put together on the stack and written at once
 *
 * key=value: values stand bare when every character is plain, else in quotes.
 * Both formats escape as JSON does, and beyond it what is not fit for a
 * terminal; a byte that is not UTF-8 becomes \\xNN, which JSON reads as the
 * text \xNN. Values are cut at VALUE_MAX; fields for which a record has no
 * room left are dropped as a whole, so that quotes always match. A record fits
 * PIPE_BUF: pipes take it in one piece.
 *
 * Rate limit: each word has a bucket of RATE records for the running second.
 * Words are few and constant, so buckets are only ever added. */
#include "hookbridge/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "hookbridge/metric.h"
#include "hookbridge/utf8.h"

#define LINE_MAX_SIZE 4096
#define VALUE_MAX 512
#define NUMBER_MAX 24
#define TAIL_ROOM 64 /* for suppressed=N and the end of the line */
#define RATE 10

static enum hb_log_level threshold = HB_LOG_INFO;
static enum hb_log_format layout = HB_LOG_KV;
static bool to_journal;

static const struct {
	const char *word;
	int priority; /* syslog's, for the journal */
} levels[] = {
    [HB_LOG_ERROR] = {"error", 3},
    [HB_LOG_WARNING] = {"warning", 4},
    [HB_LOG_INFO] = {"info", 6},
    [HB_LOG_DEBUG] = {"debug", 7},
};

/* The journal announces the stream it gave us as "device:inode". */
static bool
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char mine[64];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(mine, sizeof(mine), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	return strcmp(stream, mine) == 0;
}

void
hb_log_init(enum hb_log_level level, enum hb_log_format format)
{
	threshold = level;
	layout = format;
	to_journal = stderr_is_journal();
}

bool
hb_log_enabled(enum hb_log_level level)
{
	return level <= threshold;
}

/* --- escaping ------------------------------------------------------------- */

/* Characters that move a cursor, or hide or reorder text: the general
 * categories Cc and Cf of Unicode 15, and the line and paragraph separators. */
static const struct {
	uint32_t first, last;
} unsafe[] = {{0x0000, 0x001f}, {0x007f, 0x009f}, {0x00ad, 0x00ad},
    {0x0600, 0x0605}, {0x061c, 0x061c}, {0x06dd, 0x06dd}, {0x070f, 0x070f},
    {0x0890, 0x0891}, {0x08e2, 0x08e2}, {0x180e, 0x180e}, {0x200b, 0x200f},
    {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
    {0x110bd, 0x110bd}, {0x110cd, 0x110cd}, {0x13430, 0x1343f},
    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0001, 0xe007f}};

static bool
is_unsafe(uint32_t c)
{
	for (size_t i = 0; i < HB_COUNT(unsafe) && c >= unsafe[i].first; i++)
		if (c <= unsafe[i].last)
			return true;
	return false;
}

/* One character as it may be shown; returns the bytes written to out[16]. */
static size_t
escape_one(struct hb_span s, size_t *taken, char out[16])
{
	uint32_t c;
	size_t len = hb_utf8_next(s, &c);

	*taken = len > 0 ? len : 1;
	if (len == 0)
		return (size_t)sprintf(
		    out, "\\\\x%02x", (unsigned char)s.ptr[0]);
	if (c == '"' || c == '\\')
		return (size_t)sprintf(out, "\\%c", (char)c);
	if (c == '\n')
		return (size_t)sprintf(out, "\\n");
	if (is_unsafe(c) && c > 0xffff)
		return (size_t)sprintf(out, "\\u%04x\\u%04x",
		    0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
	if (is_unsafe(c))
		return (size_t)sprintf(out, "\\u%04x", c);
	memcpy(out, s.ptr, len);
	return len;
}

size_t
hb_log_escape(struct hb_span s, char *out, size_t size)
{
	static const char cut[] = "\xe2\x80\xa6"; /* an ellipsis */
	size_t len = 0, cut_at = 0;

	if (size == 0)
		return 0;
	while (s.len > 0) {
		char one[16];
		size_t taken, n = escape_one(s, &taken, one);

		if (len + n >= size) {
			if (size < sizeof(cut))
				break;
			memcpy(out + cut_at, cut, sizeof(cut) - 1);
			len = cut_at + sizeof(cut) - 1;
			break;
		}
		memcpy(out + len, one, n);
		len += n;
		if (len + sizeof(cut) <= size)
			cut_at = len;
		s = hb_span_skip(s, taken);
	}
	out[len] = '\0';
	return len;
}

/* --- records -------------------------------------------------------------- */

struct line {
	char text[LINE_MAX_SIZE];
	size_t len;
};

static void
add(struct line *line, const char *text, size_t len)
{
	size_t room = sizeof(line->text) - line->len - 2; /* "}\n" */

	if (len > room)
		len = room;
	memcpy(line->text + line->len, text, len);
	line->len += len;
}

static void
add_str(struct line *line, const char *text)
{
	add(line, text, strlen(text));
}

static bool
is_bare(struct hb_span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f || s.ptr[i] == '"' ||
		    s.ptr[i] == '\\' || s.ptr[i] == '=')
			return false;
	return s.len > 0;
}

static void
add_text(struct line *line, struct hb_span s)
{
	char value[VALUE_MAX];

	if (layout == HB_LOG_KV && is_bare(s) && s.len < sizeof(value)) {
		add(line, s.ptr, s.len);
		return;
	}
	add_str(line, "\"");
	add(line, value, hb_log_escape(s, value, sizeof(value)));
	add_str(line, "\"");
}

/* The field before a value: ` name=` or `,"name":`. */
static void
add_name(struct line *line, const char *name)
{
	add_str(line, layout == HB_LOG_JSON ? ",\"" : " ");
	add_str(line, name);
	add_str(line, layout == HB_LOG_JSON ? "\":" : "=");
}

static void
add_number(struct line *line, const struct hb_log_field *field)
{
	char digits[NUMBER_MAX];

	if (field->kind == HB_LOG_F_I64)
		snprintf(
		    digits, sizeof(digits), "%" PRId64, (int64_t)field->num);
	else
		snprintf(digits, sizeof(digits), "%" PRIu64, field->num);
	add_str(line, digits);
}

/* Adds the field unless its value might take more than the room left. */
static void
add_field(struct line *line, const struct hb_log_field *field, size_t room)
{
	if (field->kind == HB_LOG_F_TEXT && !hb_span_is_set(field->text))
		return;
	if (room < (field->kind == HB_LOG_F_TEXT ? VALUE_MAX : NUMBER_MAX) +
		       strlen(field->name) + sizeof(",\"\":\"\""))
		return;
	add_name(line, field->name);
	if (field->kind == HB_LOG_F_TEXT)
		add_text(line, field->text);
	else
		add_number(line, field);
}

static void
add_head(struct line *line, enum hb_log_level level, const char *word)
{
	bool json = layout == HB_LOG_JSON;
	char time[HB_TIME_ISO_SIZE], head[256];

	if (to_journal) {
		snprintf(head, sizeof(head), "<%d>", levels[level].priority);
		add_str(line, head);
	}
	if (json)
		add_str(line, "{");
	if (!to_journal) {
		hb_clock_iso(hb_clock_wall_ms(), time);
		snprintf(head, sizeof(head), json ? "\"time\":\"%s\"," : "%s ",
		    time);
		add_str(line, head);
	}
	snprintf(head, sizeof(head),
	    json ? "\"level\":\"%s\",\"event\":\"%s\"" : "%s %s",
	    levels[level].word, word);
	add_str(line, head);
}

/* --- the rate limit ------------------------------------------------------- */

struct bucket {
	struct bucket *next;
	const char *word;
	uint64_t second;
	unsigned count;
	_Atomic uint64_t suppressed; /* since the last record */
	struct hb_metric *metric_suppressed;
};

static pthread_mutex_t bucket_lock = PTHREAD_MUTEX_INITIALIZER;
static struct bucket *_Atomic bucket_list;

/* The word's bucket or NULL; needs no lock. */
static struct bucket *
bucket_find(const char *word)
{
	struct bucket *b =
	    atomic_load_explicit(&bucket_list, memory_order_acquire);

	while (b != NULL && strcmp(b->word, word) != 0)
		b = b->next;
	return b;
}

static struct bucket *
bucket_get_locked(const char *word)
{
	struct bucket *b = bucket_find(word);

	if (b != NULL)
		return b;
	b = hb_xcalloc(1, sizeof(*b));
	b->word = word;
	b->metric_suppressed =
	    hb_metric_get(HB_M_LOG_SUPPRESSED, word, NULL, NULL, NULL);
	b->next = atomic_load_explicit(&bucket_list, memory_order_relaxed);
	atomic_store_explicit(&bucket_list, b, memory_order_release);
	return b;
}

/* Whether this word may have one more record in this second. */
bool
hb_log_admit(const char *word)
{
	uint64_t second = hb_clock_mono_ms() / 1000;
	struct bucket *b;
	bool admitted;

	pthread_mutex_lock(&bucket_lock);
	b = bucket_get_locked(word);
	if (b->second != second) {
		b->second = second;
		b->count = 0;
	}
	admitted = b->count < RATE;
	if (admitted)
		b->count++;
	pthread_mutex_unlock(&bucket_lock);
	if (!admitted) {
		atomic_fetch_add(&b->suppressed, 1);
		hb_metric_inc(b->metric_suppressed);
	}
	return admitted;
}

/* How many records of this word were left out before this one. */
static void
add_suppressed(struct line *line, const char *word)
{
	struct bucket *b = bucket_find(word);
	uint64_t n = b != NULL ? atomic_exchange(&b->suppressed, 0) : 0;
	struct hb_log_field field = HB_F_U64("suppressed", n);

	if (n > 0)
		add_field(line, &field, sizeof(line->text) - line->len);
}

/* Formats and writes one record; fields end with HB_LOG_F_END. */
void
hb_log_write(enum hb_log_level level, const char *word,
    const struct hb_log_field *fields)
{
	struct line line;

	line.len = 0;
	add_head(&line, level, word);
	for (; fields->kind != HB_LOG_F_END; fields++)
		add_field(
		    &line, fields, sizeof(line.text) - TAIL_ROOM - line.len);
	add_suppressed(&line, word);
	if (layout == HB_LOG_JSON)
		line.text[line.len++] = '}';
	line.text[line.len++] = '\n';
	/* Nobody is left to tell when the log itself cannot be written. */
	while (write(STDERR_FILENO, line.text, line.len) < 0 && errno == EINTR)
		;
}
