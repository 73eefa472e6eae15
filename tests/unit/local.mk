# SPDX-License-Identifier: Apache-2.0
# One program for each module: tests/unit/test_X.c, linked with everything.
LDADD = $(HB_LIBS) $(CMOCKA_LIBS) $(JANSSON_LIBS)

unit_tests =
unit_tests += %D%/test_admin
unit_tests += %D%/test_admin_kept
unit_tests += %D%/test_admin_rates
unit_tests += %D%/test_admin_tail
unit_tests += %D%/test_arena
unit_tests += %D%/test_backoff
unit_tests += %D%/test_budget
unit_tests += %D%/test_cfg_disk
unit_tests += %D%/test_cfg_dump
unit_tests += %D%/test_cfg_endpoints
unit_tests += %D%/test_cfg_errors
unit_tests += %D%/test_cfg_keys
unit_tests += %D%/test_cfg_routes
unit_tests += %D%/test_cfg_secrets
unit_tests += %D%/test_cfg_sinks
unit_tests += %D%/test_cfg_values
unit_tests += %D%/test_claim
unit_tests += %D%/test_claim_faults
unit_tests += %D%/test_claim_guard
unit_tests += %D%/test_clock
unit_tests += %D%/test_crypto
unit_tests += %D%/test_ctl_address
unit_tests += %D%/test_ctl_explain
unit_tests += %D%/test_ctl_letter
unit_tests += %D%/test_ctl_score
unit_tests += %D%/test_ctl_sse
unit_tests += %D%/test_ctl_table
unit_tests += %D%/test_daemon
unit_tests += %D%/test_deadline
unit_tests += %D%/test_dedup
unit_tests += %D%/test_dedup_disk
unit_tests += %D%/test_dedup_faults
unit_tests += %D%/test_dir
unit_tests += %D%/test_error
unit_tests += %D%/test_exchange
unit_tests += %D%/test_file_faults
unit_tests += %D%/test_http_limits
unit_tests += %D%/test_http_parse
unit_tests += %D%/test_http_pieces
unit_tests += %D%/test_http_server
unit_tests += %D%/test_intake
unit_tests += %D%/test_io
unit_tests += %D%/test_json_oracle
unit_tests += %D%/test_json_paths
unit_tests += %D%/test_json_span
unit_tests += %D%/test_kafka_conf
unit_tests += %D%/test_kafka_faults
unit_tests += %D%/test_kafka_patient
unit_tests += %D%/test_kafka_queue
unit_tests += %D%/test_le
unit_tests += %D%/test_log
unit_tests += %D%/test_loop
unit_tests += %D%/test_manual
unit_tests += %D%/test_message
unit_tests += %D%/test_metric
unit_tests += %D%/test_near
unit_tests += %D%/test_normalize
unit_tests += %D%/test_predicate
unit_tests += %D%/test_preview
unit_tests += %D%/test_redeliver
unit_tests += %D%/test_redis_faults
unit_tests += %D%/test_redis_late
unit_tests += %D%/test_redis_reply
unit_tests += %D%/test_replay
unit_tests += %D%/test_replay_copy
unit_tests += %D%/test_replay_failures
unit_tests += %D%/test_replay_load
unit_tests += %D%/test_replay_suspect
unit_tests += %D%/test_route
unit_tests += %D%/test_sink
unit_tests += %D%/test_sink_file
unit_tests += %D%/test_sink_kafka
unit_tests += %D%/test_sink_redis
unit_tests += %D%/test_spool
unit_tests += %D%/test_spool_faults
unit_tests += %D%/test_spool_format
unit_tests += %D%/test_spool_limits
unit_tests += %D%/test_spool_model
unit_tests += %D%/test_spool_recover
unit_tests += %D%/test_spool_space
unit_tests += %D%/test_spool_survey
unit_tests += %D%/test_store
unit_tests += %D%/test_store_open
unit_tests += %D%/test_store_record
unit_tests += %D%/test_store_shares
unit_tests += %D%/test_store_walk
unit_tests += %D%/test_stream
unit_tests += %D%/test_svix_key
unit_tests += %D%/test_tail
unit_tests += %D%/test_tmpl
unit_tests += %D%/test_token
unit_tests += %D%/test_tracker
unit_tests += %D%/test_tracker_orders
unit_tests += %D%/test_tracker_store
unit_tests += %D%/test_utf8
unit_tests += %D%/test_verify
unit_tests += %D%/test_yaml

# What several programs share.
tests_unit_test_admin_SOURCES = tests/unit/test_admin.c \
	tests/unit/admin_rig.h tests/unit/cfg_rig.h tests/unit/store_rig.h \
	tests/unit/skip.h
tests_unit_test_admin_kept_SOURCES = tests/unit/test_admin_kept.c \
	tests/unit/admin_rig.h tests/unit/store_rig.h
tests_unit_test_admin_tail_SOURCES = tests/unit/test_admin_tail.c \
	tests/unit/admin_rig.h tests/unit/store_rig.h
tests_unit_test_cfg_disk_SOURCES = tests/unit/test_cfg_disk.c \
	tests/unit/cfg_rig.h
tests_unit_test_cfg_dump_SOURCES = tests/unit/test_cfg_dump.c \
	tests/unit/cfg_rig.h
tests_unit_test_cfg_endpoints_SOURCES = tests/unit/test_cfg_endpoints.c \
	tests/unit/cfg_rig.h
tests_unit_test_cfg_errors_SOURCES = tests/unit/test_cfg_errors.c \
	tests/unit/cfg_rig.h
tests_unit_test_cfg_keys_SOURCES = tests/unit/test_cfg_keys.c \
	tests/unit/cfg_rig.h
tests_unit_test_cfg_routes_SOURCES = tests/unit/test_cfg_routes.c \
	tests/unit/cfg_rig.h
tests_unit_test_cfg_secrets_SOURCES = tests/unit/test_cfg_secrets.c \
	tests/unit/cfg_rig.h tests/unit/skip.h
tests_unit_test_cfg_sinks_SOURCES = tests/unit/test_cfg_sinks.c \
	tests/unit/cfg_rig.h
tests_unit_test_cfg_values_SOURCES = tests/unit/test_cfg_values.c \
	tests/unit/cfg_rig.h
tests_unit_test_claim_SOURCES = tests/unit/test_claim.c \
	tests/unit/claim_rig.h
tests_unit_test_claim_faults_SOURCES = tests/unit/test_claim_faults.c \
	tests/unit/claim_rig.h
tests_unit_test_claim_guard_SOURCES = tests/unit/test_claim_guard.c \
	tests/unit/claim_rig.h
tests_unit_test_crypto_SOURCES = tests/unit/test_crypto.c \
	tests/unit/verify_rig.h
tests_unit_test_ctl_address_SOURCES = tests/unit/test_ctl_address.c \
	tests/unit/cfg_rig.h
tests_unit_test_ctl_explain_SOURCES = tests/unit/test_ctl_explain.c \
	tests/unit/cfg_rig.h tests/unit/preview_rig.h
tests_unit_test_ctl_letter_SOURCES = tests/unit/test_ctl_letter.c \
	tests/unit/cfg_rig.h
tests_unit_test_daemon_SOURCES = tests/unit/test_daemon.c \
	tests/unit/http_client.h
tests_unit_test_dedup_disk_SOURCES = tests/unit/test_dedup_disk.c \
	tests/unit/dedup_rig.h
tests_unit_test_dedup_faults_SOURCES = tests/unit/test_dedup_faults.c \
	tests/unit/dedup_rig.h
tests_unit_test_dir_SOURCES = tests/unit/test_dir.c tests/unit/skip.h
tests_unit_test_exchange_SOURCES = tests/unit/test_exchange.c \
	tests/unit/fake_sink.h tests/unit/http_client.h
tests_unit_test_file_faults_SOURCES = tests/unit/test_file_faults.c \
	tests/unit/file_rig.h tests/unit/sink_contract.h tests/unit/skip.h
tests_unit_test_http_limits_SOURCES = tests/unit/test_http_limits.c \
	tests/unit/http_site.c tests/unit/http_site.h
tests_unit_test_http_pieces_SOURCES = tests/unit/test_http_pieces.c \
	tests/unit/http_site.c tests/unit/http_site.h
tests_unit_test_http_server_SOURCES = tests/unit/test_http_server.c \
	tests/unit/http_site.c tests/unit/http_site.h
tests_unit_test_json_oracle_SOURCES = tests/unit/test_json_oracle.c \
	tests/unit/json_rig.h
tests_unit_test_json_paths_SOURCES = tests/unit/test_json_paths.c \
	tests/unit/json_rig.h
tests_unit_test_json_span_SOURCES = tests/unit/test_json_span.c \
	tests/unit/json_rig.h
tests_unit_test_kafka_conf_SOURCES = tests/unit/test_kafka_conf.c \
	tests/unit/sink_contract.h
tests_unit_test_kafka_faults_SOURCES = tests/unit/test_kafka_faults.c \
	tests/unit/kafka_rig.h tests/unit/kafka_peer.h \
	tests/unit/sink_contract.h
tests_unit_test_kafka_patient_SOURCES = tests/unit/test_kafka_patient.c \
	tests/unit/kafka_wire.h tests/unit/kafka_rig.h \
	tests/unit/kafka_peer.h tests/unit/sink_contract.h tests/unit/skip.h
tests_unit_test_kafka_queue_SOURCES = tests/unit/test_kafka_queue.c \
	tests/unit/kafka_wrap.h tests/unit/kafka_rig.h \
	tests/unit/kafka_peer.h tests/unit/sink_contract.h
tests_unit_test_predicate_SOURCES = tests/unit/test_predicate.c \
	tests/unit/route_rig.h
tests_unit_test_preview_SOURCES = tests/unit/test_preview.c \
	tests/unit/cfg_rig.h tests/unit/preview_rig.h
tests_unit_test_redeliver_SOURCES = tests/unit/test_redeliver.c \
	tests/unit/fake_sink.h
tests_unit_test_redis_faults_SOURCES = tests/unit/test_redis_faults.c \
	tests/unit/redis_peer.h tests/unit/redis_rig.h \
	tests/unit/sink_contract.h tests/unit/skip.h
tests_unit_test_replay_SOURCES = tests/unit/test_replay.c \
	tests/unit/replay_rig.h tests/unit/replay_wraps.h \
	tests/unit/route_rig.h
tests_unit_test_replay_copy_SOURCES = tests/unit/test_replay_copy.c \
	tests/unit/replay_rig.h tests/unit/replay_wraps.h \
	tests/unit/route_rig.h
tests_unit_test_replay_failures_SOURCES = tests/unit/test_replay_failures.c \
	tests/unit/replay_rig.h tests/unit/replay_wraps.h \
	tests/unit/route_rig.h
tests_unit_test_replay_load_SOURCES = tests/unit/test_replay_load.c \
	tests/unit/replay_rig.h tests/unit/replay_wraps.h \
	tests/unit/route_rig.h
tests_unit_test_redis_late_SOURCES = tests/unit/test_redis_late.c \
	tests/unit/redis_peer.h tests/unit/redis_rig.h \
	tests/unit/sink_contract.h tests/unit/skip.h
tests_unit_test_route_SOURCES = tests/unit/test_route.c \
	tests/unit/route_rig.h
tests_unit_test_sink_file_SOURCES = tests/unit/test_sink_file.c \
	tests/unit/file_rig.h tests/unit/sink_contract.h tests/unit/skip.h
tests_unit_test_sink_kafka_SOURCES = tests/unit/test_sink_kafka.c \
	tests/unit/kafka_wrap.h tests/unit/kafka_rig.h \
	tests/unit/kafka_peer.h tests/unit/sink_contract.h tests/unit/skip.h
tests_unit_test_sink_redis_SOURCES = tests/unit/test_sink_redis.c \
	tests/unit/redis_peer.h tests/unit/redis_rig.h \
	tests/unit/sink_contract.h tests/unit/skip.h
tests_unit_test_store_SOURCES = tests/unit/test_store.c \
	tests/unit/store_rig.h
tests_unit_test_store_open_SOURCES = tests/unit/test_store_open.c \
	tests/unit/store_rig.h
tests_unit_test_store_record_SOURCES = tests/unit/test_store_record.c \
	tests/unit/store_rig.h
tests_unit_test_store_shares_SOURCES = tests/unit/test_store_shares.c \
	tests/unit/store_rig.h tests/unit/spool_rig.h
tests_unit_test_store_walk_SOURCES = tests/unit/test_store_walk.c \
	tests/unit/store_rig.h
tests_unit_test_stream_SOURCES = tests/unit/test_stream.c tests/unit/skip.h
tests_unit_test_svix_key_SOURCES = tests/unit/test_svix_key.c \
	tests/unit/verify_rig.h
tests_unit_test_spool_SOURCES = tests/unit/test_spool.c \
	tests/unit/spool_rig.h
tests_unit_test_spool_faults_SOURCES = tests/unit/test_spool_faults.c \
	tests/unit/spool_rig.h
tests_unit_test_spool_format_SOURCES = tests/unit/test_spool_format.c \
	tests/unit/spool_rig.h
tests_unit_test_spool_limits_SOURCES = tests/unit/test_spool_limits.c \
	tests/unit/skip.h tests/unit/spool_rig.h
tests_unit_test_spool_model_SOURCES = tests/unit/test_spool_model.c \
	tests/unit/spool_rig.h
tests_unit_test_spool_recover_SOURCES = tests/unit/test_spool_recover.c \
	tests/unit/spool_rig.h
tests_unit_test_spool_space_SOURCES = tests/unit/test_spool_space.c \
	tests/unit/spool_rig.h
tests_unit_test_token_SOURCES = tests/unit/test_token.c \
	tests/unit/verify_rig.h
tests_unit_test_tracker_SOURCES = tests/unit/test_tracker.c \
	tests/unit/fake_sink.h tests/unit/route_rig.h \
	tests/unit/tracker_rig.h
tests_unit_test_tracker_orders_SOURCES = tests/unit/test_tracker_orders.c \
	tests/unit/fake_sink.h tests/unit/path.h tests/unit/route_rig.h \
	tests/unit/tracker_rig.h
tests_unit_test_tracker_store_SOURCES = tests/unit/test_tracker_store.c \
	tests/unit/fake_sink.h tests/unit/fake_store.h tests/unit/path.h \
	tests/unit/route_rig.h tests/unit/tracker_rig.h
tests_unit_test_verify_SOURCES = tests/unit/test_verify.c \
	tests/unit/verify_rig.h
tests_unit_test_yaml_SOURCES = tests/unit/test_yaml.c \
	tests/unit/cfg_rig.h

# Parts of hookbridgectl.
CTL_LIBS = libhookbridgectl.a $(LDADD) $(CURL_LIBS)
tests_unit_test_ctl_address_LDADD = $(CTL_LIBS)
tests_unit_test_ctl_explain_LDADD = $(CTL_LIBS)
tests_unit_test_ctl_letter_LDADD = $(CTL_LIBS)
tests_unit_test_ctl_score_LDADD = $(CTL_LIBS)
tests_unit_test_ctl_sse_LDADD = $(CTL_LIBS)
tests_unit_test_ctl_table_LDADD = $(CTL_LIBS)

# What the search asks of the iterator is counted in between.
tests_unit_test_json_paths_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=hb_json_iter_name -Wl,--wrap=hb_json_iter_value

# A sender can be kept in librdkafka, a broker can be deaf; who is handed over
# is noted in between.
tests_unit_test_sink_kafka_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=rd_kafka_producev
tests_unit_test_kafka_faults_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=rd_kafka_metadata
tests_unit_test_kafka_queue_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=rd_kafka_producev

# Rows that are evaluated are counted in between.
tests_unit_test_route_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=hb_predicate_holds

# Sinks, and who does what operators ask, are replaced by fakes.
ADMIN_WRAPS = -Wl,--wrap=hb_redeliver_begin -Wl,--wrap=hb_deliver_in_flight \
	-Wl,--wrap=hb_sinks_of -Wl,--wrap=hb_sinks_forget \
	-Wl,--wrap=hb_store_stats
tests_unit_test_admin_LDFLAGS = $(AM_LDFLAGS) $(ADMIN_WRAPS)
tests_unit_test_admin_kept_LDFLAGS = $(AM_LDFLAGS) $(ADMIN_WRAPS)
tests_unit_test_admin_tail_LDFLAGS = $(AM_LDFLAGS) $(ADMIN_WRAPS)

# Something is kept just before a shelf is asked.
tests_unit_test_store_walk_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=hb_spool_cursor_next

# Sinks are replaced by fakes.
tests_unit_test_exchange_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=hb_sinks_of
tests_unit_test_redeliver_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=hb_sinks_of
tests_unit_test_tracker_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=hb_sinks_of
tests_unit_test_tracker_orders_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=hb_sinks_of
# So is the store, and what keeps claims.
tests_unit_test_tracker_store_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=hb_sinks_of -Wl,--wrap=hb_store_has_room \
	-Wl,--wrap=hb_store_has_backlog -Wl,--wrap=hb_store_keep_delivery \
	-Wl,--wrap=hb_store_keep_dead -Wl,--wrap=hb_store_release \
	-Wl,--wrap=hb_store_settle -Wl,--wrap=hb_claims_put

# What the replay asks of others can be answered by the test.
REPLAY_WRAPS = $(AM_LDFLAGS) -Wl,--wrap=hb_sinks_of \
	-Wl,--wrap=hb_backoff_ms -Wl,--wrap=hb_store_is_held \
	-Wl,--wrap=hb_store_keep_dead_record -Wl,--wrap=hb_store_keep_moved
tests_unit_test_replay_LDFLAGS = $(REPLAY_WRAPS)
tests_unit_test_replay_copy_LDFLAGS = $(REPLAY_WRAPS)
tests_unit_test_replay_failures_LDFLAGS = $(REPLAY_WRAPS)
tests_unit_test_replay_load_LDFLAGS = $(REPLAY_WRAPS)

# The simulated cluster is not what is tested: no sanitizers.
check_PROGRAMS += tests/rig/kafka_mock
tests_rig_kafka_mock_SOURCES = tests/rig/kafka_mock.c
tests_rig_kafka_mock_CFLAGS = $(PTHREAD_CFLAGS) $(RDKAFKA_CFLAGS)
tests_rig_kafka_mock_LDFLAGS =
tests_rig_kafka_mock_LDADD = $(RDKAFKA_LIBS) $(PTHREAD_LIBS)

# Preloaded, hence no program of automake's.
check_DATA += tests/rig/allocations.so
CLEANFILES += tests/rig/allocations.so
tests/rig/allocations.so: tests/rig/allocations.c config.h
	$(AM_V_CCLD)$(MKDIR_P) tests/rig && $(CC) -include config.h $(CPPFLAGS) \
		$(CFLAGS) -Wall -Wextra -fPIC -shared -o $@ \
		$(top_srcdir)/tests/rig/allocations.c

EXTRA_DIST += %D%/vectors/svix-signatures.json \
	%D%/vectors/kafka-partitions.txt %D%/vectors/KafkaPartitions.java \
	tests/rig/allocations.c
