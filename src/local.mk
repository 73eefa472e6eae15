# SPDX-License-Identifier: Apache-2.0
# Everything but the mains is in libhookbridge.a, so that unit tests link it.

sbin_PROGRAMS += hookbridged
hookbridged_SOURCES = %D%/main.c
hookbridged_LDADD = $(HB_LIBS)

include %D%/base/local.mk
include %D%/cfg/local.mk
include %D%/spool/local.mk
include %D%/net/local.mk
include %D%/http/local.mk
include %D%/event/local.mk
include %D%/verify/local.mk
include %D%/normalize/local.mk
include %D%/route/local.mk
include %D%/render/local.mk
include %D%/store/local.mk
include %D%/claim/local.mk
include %D%/sink/local.mk
include %D%/deliver/local.mk
include %D%/replay/local.mk
include %D%/intake/local.mk
include %D%/redeliver/local.mk
include %D%/admin/local.mk
include %D%/daemon/local.mk
include %D%/ctl/local.mk
