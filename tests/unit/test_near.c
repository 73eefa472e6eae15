/* SPDX-License-Identifier: Apache-2.0 */
/* test_near.c - the known name that was probably meant */
#include "hookbridge/near.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hookbridge/mem.h"

static void
near_names_are_found(void **state)
{
	static const char *const known[] = {
	    "brokers", "properties", "url", "in", "path", "body_size"};
	static const struct {
		const char *word, *best;
	} cases[] = {{"broker", "brokers"}, {"borkers", "brokers"},
	    {"BROKERS", "brokers"}, {"propertys", "properties"}, {"ulr", "url"},
	    {"uri", "url"}, {"body-size", "body_size"},
	    {"bodysize", "body_size"},
	    {"xyz", NULL}, {"", NULL}, {"i", "in"}, {"brxxers", "brokers"},
	    {"xxxxers", NULL}};
	char huge[4096];
	struct hb_near near;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		hb_near_init(&near, cases[i].word);
		for (size_t k = 0; k < HB_COUNT(known); k++)
			hb_near_offer(&near, known[k]);
		if (cases[i].best == NULL)
			assert_null(near.best);
		else
			assert_string_equal(near.best, cases[i].best);
	}
	memset(huge, 'b', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	hb_near_init(&near, huge);
	hb_near_offer(&near, "brokers");
	assert_null(near.best);
	hb_near_init(&near, "brokers");
	hb_near_offer(&near, huge);
	assert_null(near.best);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(near_names_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
