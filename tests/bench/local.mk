# SPDX-License-Identifier: Apache-2.0
# Built on demand: make tests/bench/load.
EXTRA_PROGRAMS += tests/bench/load
tests_bench_load_SOURCES = %D%/load.c %D%/requests.c %D%/requests.h \
	%D%/histogram.h
tests_bench_load_LDADD = $(HB_LIBS)
EXTRA_DIST += %D%/run %D%/measure.py
