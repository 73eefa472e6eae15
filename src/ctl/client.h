/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - asks a running daemon: HTTP over its admin socket
 *
 * The socket is that of --admin, else the one that the configuration names; a
 * configuration that nobody asked for and that cannot be read is passed over
 * for the default socket. What goes wrong is told here, once, and comes back
 * as what to exit with.
 * Thread: one. Blocks: until the answer is there, a minute at the most, or as
 * long as a stream goes on. */
#ifndef HB_CTL_CLIENT_H
#define HB_CTL_CLIENT_H

#include <jansson.h>

#include "ctl.h"

struct hb_client;

/* NULL and *status when it is not known whom to ask. */
struct hb_client *hb_client_open(const struct hb_ctl *ctl, int *status);
void hb_client_close(struct hb_client *client);

/* Text as it stands in a path or query; lives as long as the client. */
const char *hb_client_quote(struct hb_client *client, const char *text);

struct hb_client_answer {
	long code;
	char *text; /* len bytes and a NUL; free() by the fini */
	size_t len;
	json_t *doc; /* what the text says, or NULL: no JSON */
};
void hb_client_answer_fini(struct hb_client_answer *answer);

/* EX_OK once there is an answer, whatever it says. body: NULL or a document,
 * which is let go; then it is a POST. */
int hb_client_ask(struct hb_client *client, const char *path, json_t *body,
    struct hb_client_answer *answer);
bool hb_client_is_yes(const struct hb_client_answer *answer);
/* What a refusal says, for free(), and what it means for the exit code. */
char *hb_client_reason(const struct hb_client_answer *answer);
int hb_client_status(const struct hb_client_answer *answer);
/* Tells the refusal; its exit code. */
int hb_client_refuse(const struct hb_client_answer *answer);

/* The document that a GET, or a POST of body, is answered with; NULL and
 * *status after having told why there is none. */
json_t *hb_client_get(struct hb_client *client, const char *path, int *status);
json_t *hb_client_post(struct hb_client *client, const char *path,
    json_t *body, int *status);
/* The same by a client of its own, for who has nothing else to ask; a body of
 * NULL is a GET. */
json_t *hb_client_post_once(const struct hb_ctl *ctl, const char *path,
    json_t *body, int *status);

/* Hands the answer on while it comes, until it ends or take says false; EX_OK
 * then. */
int hb_client_stream(struct hb_client *client, const char *path,
    bool (*take)(void *arg, struct hb_span piece), void *arg);

#endif
