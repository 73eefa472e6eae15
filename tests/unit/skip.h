/* SPDX-License-Identifier: Apache-2.0 */
/* skip.h - a test that cannot run here says why */
#ifndef HOOKBRIDGE_TESTS_SKIP_H
#define HOOKBRIDGE_TESTS_SKIP_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#define SKIP(why)                                                   \
	do {                                                        \
		print_message("# %s: skipped: %s\n", __func__, why); \
		skip();                                             \
	} while (0)

#endif
