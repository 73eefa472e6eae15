/* SPDX-License-Identifier: Apache-2.0 */
/* versions.c - asks each library for the version that is loaded, which may
 * not be the one we were built with */
#include "versions.h"

#include <event2/event.h>
#include <librdkafka/rdkafka.h>
#include <openssl/crypto.h>

const char *
hb_version(void)
{
	return PACKAGE_VERSION;
}

const char *
hb_version_libevent(void)
{
	return event_get_version();
}

const char *
hb_version_librdkafka(void)
{
	return rd_kafka_version_str();
}

const char *
hb_version_openssl(void)
{
	return OpenSSL_version(OPENSSL_VERSION_STRING);
}
