# SPDX-License-Identifier: Apache-2.0
# All but the main is a library of its own, so that unit tests link it and
# nothing else is built with libcurl and jansson.
bin_PROGRAMS += hookbridgectl
hookbridgectl_SOURCES = %D%/hookbridgectl.c
hookbridgectl_LDADD = libhookbridgectl.a $(HB_LIBS) $(CURL_LIBS) \
	$(JANSSON_LIBS)

noinst_LIBRARIES += libhookbridgectl.a
libhookbridgectl_a_CFLAGS = $(AM_CFLAGS) $(CURL_CFLAGS) $(JANSSON_CFLAGS)
libhookbridgectl_a_SOURCES = \
	%D%/act.c \
	%D%/act.h \
	%D%/address.c \
	%D%/batch.c \
	%D%/batch.h \
	%D%/claim.c \
	%D%/client.c \
	%D%/client.h \
	%D%/common.c \
	%D%/ctl.h \
	%D%/dead.c \
	%D%/dead.h \
	%D%/dead_act.c \
	%D%/dedup.c \
	%D%/explain.c \
	%D%/explain.h \
	%D%/explain_json.c \
	%D%/explain_text.c \
	%D%/explain_words.c \
	%D%/json_doc.c \
	%D%/json_doc.h \
	%D%/letter.c \
	%D%/pace.c \
	%D%/portal.c \
	%D%/proof.c \
	%D%/score.c \
	%D%/secret_check.c \
	%D%/secret_new.c \
	%D%/send.c \
	%D%/send.h \
	%D%/show.c \
	%D%/show.h \
	%D%/spool.c \
	%D%/spool_reroute.c \
	%D%/spool_verify.c \
	%D%/sse.c \
	%D%/sse.h \
	%D%/status.c \
	%D%/status.h \
	%D%/status_text.c \
	%D%/summary.c \
	%D%/table.c \
	%D%/table.h \
	%D%/tail.c \
	%D%/units.c \
	%D%/units.h
