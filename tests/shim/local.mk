# SPDX-License-Identifier: Apache-2.0
# Preloaded, hence no program of automake's.
check_DATA += %D%/faults.so
CLEANFILES += %D%/faults.so
EXTRA_DIST += %D%/faults.c
%D%/faults.so: %D%/faults.c config.h
	$(AM_V_CCLD)$(MKDIR_P) %D% && $(CC) -include config.h $(CPPFLAGS) \
		$(CFLAGS) -Wall -Wextra -fPIC -shared -o $@ \
		$(top_srcdir)/%D%/faults.c
