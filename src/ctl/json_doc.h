/* SPDX-License-Identifier: Apache-2.0 */
/* json_doc.h - the document that --json prints
 *
 * Built with jansson's own functions; raw numbers in base units. */
#ifndef HB_CTL_JSON_DOC_H
#define HB_CTL_JSON_DOC_H

#include <jansson.h>

#include "hookbridge/span.h"

/* Text from outside; what is not UTF-8 is escaped. */
json_t *hb_json_doc_text(struct hb_span text);
/* Prints doc on a line of stdout and lets it go; EX_OK or EX_IOERR. */
int hb_json_doc_print(json_t *doc);

#endif
