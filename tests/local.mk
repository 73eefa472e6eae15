# SPDX-License-Identifier: Apache-2.0
# make check runs the unit tests; tests/run runs everything.
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/rig/tap
AM_TESTS_ENVIRONMENT = CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	HB_TESTS=$(top_srcdir)/tests; export HB_TESTS;

EXTRA_DIST += %D%/run %D%/clean-machine %D%/requirements.in \
	%D%/requirements.txt %D%/e2e %D%/samples %D%/rig/tap

if UNIT_TESTS
include %D%/unit/local.mk
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
include %D%/shim/local.mk
include %D%/bench/local.mk
include %D%/fuzz/local.mk
