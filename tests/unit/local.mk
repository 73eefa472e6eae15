# SPDX-License-Identifier: Apache-2.0
# One program for each module: tests/unit/test_X.c, linked with everything.
LDADD = $(HB_LIBS) $(CMOCKA_LIBS) $(JANSSON_LIBS)

unit_tests =
unit_tests += %D%/test_arena
unit_tests += %D%/test_budget
unit_tests += %D%/test_clock
unit_tests += %D%/test_dedup
unit_tests += %D%/test_error
unit_tests += %D%/test_http_limits
unit_tests += %D%/test_http_parse
unit_tests += %D%/test_http_server
unit_tests += %D%/test_intake
unit_tests += %D%/test_log
unit_tests += %D%/test_loop
unit_tests += %D%/test_message
unit_tests += %D%/test_metric
unit_tests += %D%/test_normalize
unit_tests += %D%/test_predicate
unit_tests += %D%/test_redis_reply
unit_tests += %D%/test_route
unit_tests += %D%/test_sink
unit_tests += %D%/test_sink_file
unit_tests += %D%/test_sink_kafka
unit_tests += %D%/test_sink_redis
unit_tests += %D%/test_stream
unit_tests += %D%/test_tmpl

# What several programs share.
tests_unit_test_http_limits_SOURCES = tests/unit/test_http_limits.c \
	tests/unit/http_site.c tests/unit/http_site.h
tests_unit_test_http_server_SOURCES = tests/unit/test_http_server.c \
	tests/unit/http_site.c tests/unit/http_site.h
tests_unit_test_predicate_SOURCES = tests/unit/test_predicate.c \
	tests/unit/route_rig.h
tests_unit_test_route_SOURCES = tests/unit/test_route.c \
	tests/unit/route_rig.h
tests_unit_test_sink_file_SOURCES = tests/unit/test_sink_file.c \
	tests/unit/sink_contract.h
tests_unit_test_sink_kafka_SOURCES = tests/unit/test_sink_kafka.c \
	tests/unit/kafka_peer.h tests/unit/sink_contract.h
tests_unit_test_sink_redis_SOURCES = tests/unit/test_sink_redis.c \
	tests/unit/redis_peer.h tests/unit/sink_contract.h

# The simulated cluster is not what is tested: no sanitizers.
check_PROGRAMS += tests/rig/kafka_mock
tests_rig_kafka_mock_SOURCES = tests/rig/kafka_mock.c
tests_rig_kafka_mock_CFLAGS = $(PTHREAD_CFLAGS) $(RDKAFKA_CFLAGS)
tests_rig_kafka_mock_LDFLAGS =
tests_rig_kafka_mock_LDADD = $(RDKAFKA_LIBS) $(PTHREAD_LIBS)
