# SPDX-License-Identifier: Apache-2.0
# One program for each module: tests/unit/test_X.c, linked with everything.
LDADD = $(HB_LIBS) $(CMOCKA_LIBS) $(JANSSON_LIBS)

unit_tests =
unit_tests += %D%/test_arena
unit_tests += %D%/test_budget
unit_tests += %D%/test_cfg_dump
unit_tests += %D%/test_cfg_errors
unit_tests += %D%/test_cfg_keys
unit_tests += %D%/test_cfg_secrets
unit_tests += %D%/test_cfg_sinks
unit_tests += %D%/test_clock
unit_tests += %D%/test_crypto
unit_tests += %D%/test_daemon
unit_tests += %D%/test_deadline
unit_tests += %D%/test_dedup
unit_tests += %D%/test_error
unit_tests += %D%/test_exchange
unit_tests += %D%/test_http_limits
unit_tests += %D%/test_http_parse
unit_tests += %D%/test_http_server
unit_tests += %D%/test_intake
unit_tests += %D%/test_json_oracle
unit_tests += %D%/test_json_paths
unit_tests += %D%/test_json_span
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
unit_tests += %D%/test_svix_key
unit_tests += %D%/test_tmpl
unit_tests += %D%/test_token
unit_tests += %D%/test_tracker
unit_tests += %D%/test_utf8
unit_tests += %D%/test_verify
unit_tests += %D%/test_yaml

# What several programs share.
tests_unit_test_cfg_dump_SOURCES = tests/unit/test_cfg_dump.c \
	tests/unit/cfg_rig.h
tests_unit_test_cfg_errors_SOURCES = tests/unit/test_cfg_errors.c \
	tests/unit/cfg_rig.h
tests_unit_test_cfg_keys_SOURCES = tests/unit/test_cfg_keys.c \
	tests/unit/cfg_rig.h
tests_unit_test_cfg_secrets_SOURCES = tests/unit/test_cfg_secrets.c \
	tests/unit/cfg_rig.h
tests_unit_test_cfg_sinks_SOURCES = tests/unit/test_cfg_sinks.c \
	tests/unit/cfg_rig.h
tests_unit_test_crypto_SOURCES = tests/unit/test_crypto.c \
	tests/unit/verify_rig.h
tests_unit_test_daemon_SOURCES = tests/unit/test_daemon.c \
	tests/unit/http_client.h
tests_unit_test_exchange_SOURCES = tests/unit/test_exchange.c \
	tests/unit/fake_sink.h tests/unit/http_client.h
tests_unit_test_http_limits_SOURCES = tests/unit/test_http_limits.c \
	tests/unit/http_site.c tests/unit/http_site.h
tests_unit_test_http_server_SOURCES = tests/unit/test_http_server.c \
	tests/unit/http_site.c tests/unit/http_site.h
tests_unit_test_json_oracle_SOURCES = tests/unit/test_json_oracle.c \
	tests/unit/json_rig.h
tests_unit_test_json_paths_SOURCES = tests/unit/test_json_paths.c \
	tests/unit/json_rig.h
tests_unit_test_json_span_SOURCES = tests/unit/test_json_span.c \
	tests/unit/json_rig.h
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
tests_unit_test_svix_key_SOURCES = tests/unit/test_svix_key.c \
	tests/unit/verify_rig.h
tests_unit_test_token_SOURCES = tests/unit/test_token.c \
	tests/unit/verify_rig.h
tests_unit_test_tracker_SOURCES = tests/unit/test_tracker.c \
	tests/unit/fake_sink.h tests/unit/route_rig.h
tests_unit_test_verify_SOURCES = tests/unit/test_verify.c \
	tests/unit/verify_rig.h
tests_unit_test_yaml_SOURCES = tests/unit/test_yaml.c \
	tests/unit/cfg_rig.h

# What the search asks of the iterator is counted in between.
tests_unit_test_json_paths_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=hb_json_iter_name -Wl,--wrap=hb_json_iter_value

# A sender can be kept in librdkafka, a broker can be deaf.
tests_unit_test_sink_kafka_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=rd_kafka_producev -Wl,--wrap=rd_kafka_metadata

# Rows that are evaluated are counted in between.
tests_unit_test_route_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=hb_predicate_holds

# Sinks are replaced by fakes.
tests_unit_test_exchange_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=hb_sinks_of
tests_unit_test_tracker_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=hb_sinks_of

# The simulated cluster is not what is tested: no sanitizers.
check_PROGRAMS += tests/rig/kafka_mock
tests_rig_kafka_mock_SOURCES = tests/rig/kafka_mock.c
tests_rig_kafka_mock_CFLAGS = $(PTHREAD_CFLAGS) $(RDKAFKA_CFLAGS)
tests_rig_kafka_mock_LDFLAGS =
tests_rig_kafka_mock_LDADD = $(RDKAFKA_LIBS) $(PTHREAD_LIBS)

EXTRA_DIST += %D%/vectors/svix-signatures.json
