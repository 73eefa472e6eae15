/* SPDX-License-Identifier: Apache-2.0 */
/* json_doc.h - the document that --json prints
 *
 * Built with jansson's own functions; raw numbers in base units. */
#ifndef HB_CTL_JSON_DOC_H
#define HB_CTL_JSON_DOC_H

#include <stdint.h>

#include <jansson.h>

#include "hookbridge/span.h"

/* Text from outside; what is not UTF-8 is escaped. */
json_t *hb_json_doc_text(struct hb_span text);
/* A member of a document that came from elsewhere: absent where there is none
 * of that type. */
struct hb_span hb_json_doc_string(const json_t *doc, const char *name);
/* 0 where there is none, or a negative one. */
uint64_t hb_json_doc_count(const json_t *doc, const char *name);
/* Prints doc on a line of stdout and lets it go; EX_OK or EX_IOERR. */
int hb_json_doc_print(json_t *doc);
/* The same for one of several documents; not flushed. */
void hb_json_doc_put(const json_t *doc);

#endif
