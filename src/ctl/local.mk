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
	%D%/address.c \
	%D%/common.c \
	%D%/ctl.h \
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
	%D%/summary.c
