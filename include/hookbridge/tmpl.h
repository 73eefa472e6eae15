/* SPDX-License-Identifier: Apache-2.0 */
/* tmpl.h - "reducto.{channel|default}" compiled once, expanded for each event
 *
 * Grammar: text, {name}, {name|default}; "{{" and "}}" are braces. A default
 * may be empty and holds no braces. Names are resolved at compile time to the
 * caller's variable numbers.
 * Thread: compiling any one; a compiled template is read-only. */
#ifndef HOOKBRIDGE_TMPL_H
#define HOOKBRIDGE_TMPL_H

#include "hookbridge/arena.h"
#include "hookbridge/error.h"
#include "hookbridge/span.h"

struct hb_tmpl;

/* Gives the variable number of a name, or -1 with err set. */
typedef int hb_tmpl_resolve_fn(void *arg, struct hb_span name,
    struct hb_error *err);
/* Lives in the arena. HB_E_CONFIG with the place ("at character 9: …"). */
const struct hb_tmpl *hb_tmpl_compile(struct hb_arena *arena,
    struct hb_span text, hb_tmpl_resolve_fn *resolve, void *arg,
    struct hb_error *err);

bool hb_tmpl_is_static(const struct hb_tmpl *tmpl);
/* As written in the configuration. */
struct hb_span hb_tmpl_text(const struct hb_tmpl *tmpl);
/* Whether the template reads this variable. */
bool hb_tmpl_uses(const struct hb_tmpl *tmpl, int var);

/* A variable's value, absent when the event has none (an empty value counts as
 * absent). It is asked for twice and must be the same. */
typedef struct hb_span hb_tmpl_value_fn(void *arg, int var);
/* The expansion, in the arena or the template's own text; the absent span when
 * a variable is absent and has no default: *missing (may be NULL) then names
 * it. value is not called for a static template. */
struct hb_span hb_tmpl_expand(const struct hb_tmpl *tmpl,
    struct hb_arena *arena, hb_tmpl_value_fn *value, void *arg,
    struct hb_span *missing);

#endif
