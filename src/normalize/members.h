/* SPDX-License-Identifier: Apache-2.0 */
/* members.h - the members of a body that mean something */
#ifndef HB_NORMALIZE_MEMBERS_H
#define HB_NORMALIZE_MEMBERS_H

#include "hookbridge/error.h"
#include "hookbridge/event.h"

/* The first four are published under their own names, the rest in `extra`. */
enum hb_member {
	HB_MEMBER_JOB_ID,
	HB_MEMBER_STATUS,
	HB_MEMBER_METADATA,
	HB_MEMBER_RESULT,
	HB_MEMBERS_KNOWN,
	HB_MEMBER_TYPE = HB_MEMBERS_KNOWN,
	HB_MEMBER_DATA,
	HB_MEMBERS
};

/* Reads the body's members: metadata, result, extra and envelope into the
 * event, values (kind HB_JSON_NONE: absent) for the caller. False: HB_E_DEAD,
 * "not-json", "array", "not-object" or "repeated-member". */
bool hb_members_read(struct hb_event *ev,
    struct hb_json_value values[HB_MEMBERS], struct hb_error *err)
    HB_MUST_CHECK;

#endif
