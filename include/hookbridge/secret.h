/* SPDX-License-Identifier: Apache-2.0 */
/* secret.h - one secret by itself, read and judged as a configuration's are
 *
 * For those who have a secret and no configuration that names it.
 * Called by: ctl.
 * Thread: any. Blocks: reads a file. */
#ifndef HOOKBRIDGE_SECRET_H
#define HOOKBRIDGE_SECRET_H

#include <stdio.h>

#include "hookbridge/arena.h"
#include "hookbridge/keys.h"

/* Shorter tokens of direct webhooks are refused. */
#define HB_TOKEN_MIN 16

enum hb_token_fault { HB_TOKEN_GOOD, HB_TOKEN_SHORT, HB_TOKEN_CONTROL };

/* What source names: "file:NAME" (looked for in the credentials, then in the
 * directory), "env:NAME", or "-" for stdin. It is wiped with the arena. NULL
 * after a fault, told to out as "name: sentence" with a remedy. */
struct hb_secret *hb_secret_read(struct hb_arena *arena, const char *source,
    const char *directory, const char *name, FILE *out);
/* Whether text names a secret instead of being one. */
bool hb_secret_is_source(const char *text);
/* What is wrong with it as a token of direct webhooks. */
enum hb_token_fault hb_token_judge(const struct hb_secret *token);
/* An example of some documentation: good on loopback listeners only. */
bool hb_secret_is_published(const struct hb_secret *secret);

#endif
