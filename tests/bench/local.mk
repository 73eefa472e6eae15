# SPDX-License-Identifier: Apache-2.0
# Built on demand, by the commands of this directory.
EXTRA_PROGRAMS += tests/bench/load tests/bench/floor tests/bench/direct \
	tests/bench/kafka_delay
tests_bench_load_SOURCES = %D%/load.c %D%/requests.c %D%/requests.h \
	%D%/histogram.h
tests_bench_load_LDADD = $(HB_LIBS)
tests_bench_floor_SOURCES = %D%/floor.c
tests_bench_floor_LDADD = $(HB_LIBS)
tests_bench_direct_SOURCES = %D%/direct.c %D%/histogram.h
tests_bench_direct_LDADD = $(HB_LIBS)
tests_bench_kafka_delay_SOURCES = %D%/kafka_delay.c
tests_bench_kafka_delay_LDADD = $(HB_LIBS)
EXTRA_DIST += %D%/run %D%/measure.py %D%/instructions %D%/instructions.py \
	%D%/callgrind.py %D%/stand.py %D%/setup.sh %D%/ceilings \
	%D%/README.md %D%/run-kafka-batching %D%/kafka_batching.py \
	%D%/run-backlog %D%/backlog.py %D%/run-outage %D%/outage.py
# The spool alone: make tests/bench/spool.
EXTRA_PROGRAMS += tests/bench/spool
tests_bench_spool_SOURCES = %D%/spool.c
tests_bench_spool_LDADD = $(HB_LIBS)
