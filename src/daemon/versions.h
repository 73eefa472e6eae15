/* SPDX-License-Identifier: Apache-2.0 */
/* versions.h - what runs: ours and the libraries', as loaded */
#ifndef HB_DAEMON_VERSIONS_H
#define HB_DAEMON_VERSIONS_H

const char *hb_version(void);
const char *hb_version_libevent(void);
const char *hb_version_librdkafka(void);
const char *hb_version_openssl(void);

#endif
