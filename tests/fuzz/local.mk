# SPDX-License-Identifier: Apache-2.0
# The fuzz targets. With --enable-fuzzing (and CC=clang) they are libFuzzer's,
# for tests/fuzz/run; otherwise make check calls them with their seeds.
fuzz_targets =
fuzz_targets += %D%/fuzz_chunk
fuzz_targets += %D%/fuzz_config
if HTTP_PARSER
fuzz_targets += %D%/fuzz_connection
endif
fuzz_targets += %D%/fuzz_head
fuzz_targets += %D%/fuzz_journal
fuzz_targets += %D%/fuzz_json
fuzz_targets += %D%/fuzz_predicate
fuzz_targets += %D%/fuzz_record
fuzz_targets += %D%/fuzz_secrets
fuzz_targets += %D%/fuzz_segment
fuzz_targets += %D%/fuzz_signature
fuzz_targets += %D%/fuzz_template

fuzz_helpers =
if HTTP_PARSER
fuzz_helpers += %D%/oracles
endif

if FUZZING
fuzz_ldflags = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_main = %D%/fuzz.h
EXTRA_PROGRAMS += $(fuzz_targets) $(fuzz_helpers)
CLEANFILES += $(fuzz_targets) $(fuzz_helpers)
else
fuzz_ldflags = $(AM_LDFLAGS)
fuzz_main = %D%/fuzz.h %D%/replay.c
check_PROGRAMS += $(fuzz_targets) $(fuzz_helpers)
TESTS += $(fuzz_targets)
endif

tests_fuzz_fuzz_chunk_SOURCES = %D%/fuzz_chunk.c $(fuzz_main)
tests_fuzz_fuzz_chunk_LDADD = $(HB_LIBS)
tests_fuzz_fuzz_chunk_LDFLAGS = $(fuzz_ldflags)

# What a configuration names is looked for nowhere else.
tests_fuzz_fuzz_config_SOURCES = %D%/fuzz_config.c $(fuzz_main)
tests_fuzz_fuzz_config_LDADD = $(HB_LIBS)
tests_fuzz_fuzz_config_LDFLAGS = $(fuzz_ldflags) \
	-Wl,--wrap=open -Wl,--wrap=open64

tests_fuzz_fuzz_connection_SOURCES = %D%/fuzz_connection.c \
	%D%/oracles_ask.c %D%/oracles.h $(fuzz_main)
tests_fuzz_fuzz_connection_LDADD = $(HB_LIBS)
tests_fuzz_fuzz_connection_LDFLAGS = $(fuzz_ldflags)
EXTRA_tests_fuzz_fuzz_connection_DEPENDENCIES = %D%/oracles$(EXEEXT)

# Others' code is not what is tested: no sanitizers.
tests_fuzz_oracles_SOURCES = %D%/oracles.c %D%/oracles.h
tests_fuzz_oracles_CFLAGS = $(LIBEVENT_CFLAGS)
tests_fuzz_oracles_LDFLAGS =
tests_fuzz_oracles_LDADD = $(LIBEVENT_LIBS) $(HTTP_PARSER_LIBS)

tests_fuzz_fuzz_head_SOURCES = %D%/fuzz_head.c $(fuzz_main)
tests_fuzz_fuzz_head_LDADD = $(HB_LIBS)
tests_fuzz_fuzz_head_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_journal_SOURCES = %D%/fuzz_journal.c $(fuzz_main)
tests_fuzz_fuzz_journal_LDADD = $(HB_LIBS)
tests_fuzz_fuzz_journal_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_json_SOURCES = %D%/fuzz_json.c %D%/json_reader.c \
	%D%/json_reader.h $(fuzz_main)
tests_fuzz_fuzz_json_LDADD = $(HB_LIBS) $(JANSSON_LIBS)
tests_fuzz_fuzz_json_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_predicate_SOURCES = %D%/fuzz_predicate.c $(fuzz_main)
tests_fuzz_fuzz_predicate_LDADD = $(HB_LIBS)
tests_fuzz_fuzz_predicate_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_record_SOURCES = %D%/fuzz_record.c $(fuzz_main)
tests_fuzz_fuzz_record_LDADD = $(HB_LIBS)
tests_fuzz_fuzz_record_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_secrets_SOURCES = %D%/fuzz_secrets.c $(fuzz_main)
tests_fuzz_fuzz_secrets_LDADD = $(HB_LIBS)
tests_fuzz_fuzz_secrets_LDFLAGS = $(fuzz_ldflags)

# Damage is the rule: nobody wants to read of it.
tests_fuzz_fuzz_segment_SOURCES = %D%/fuzz_segment.c $(fuzz_main)
tests_fuzz_fuzz_segment_LDADD = $(HB_LIBS)
tests_fuzz_fuzz_segment_LDFLAGS = $(fuzz_ldflags) \
	-Wl,--wrap=hb_log_write

tests_fuzz_fuzz_signature_SOURCES = %D%/fuzz_signature.c $(fuzz_main)
tests_fuzz_fuzz_signature_LDADD = $(HB_LIBS)
tests_fuzz_fuzz_signature_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_template_SOURCES = %D%/fuzz_template.c $(fuzz_main)
tests_fuzz_fuzz_template_LDADD = $(HB_LIBS)
tests_fuzz_fuzz_template_LDFLAGS = $(fuzz_ldflags)

EXTRA_DIST += %D%/run %D%/corpus %D%/dict
