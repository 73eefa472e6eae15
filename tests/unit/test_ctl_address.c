/* SPDX-License-Identifier: Apache-2.0 */
/* test_ctl_address.c - where "send" posts to */
#include "cfg_rig.h"

#include "../../src/ctl/send.h"

#define SVIX "{path: /e, mode: svix, secrets: \"file:e.secret\"}"
#define DIRECT(path, in) \
	"{path: \"" path "\", mode: direct, token: {in: " in \
	", secret: \"file:odd\"}}"
/* What a URL cannot hold as it is. */
#define ODD_TOKEN "a-token/with &odd=bytes\xc3\xa9"
#define ODD_ENCODED "a-token%2Fwith%20%26odd%3Dbytes%C3%A9"

static const struct {
	const char *listen, *endpoint, *url; /* url: as given, or NULL */
	const char *want, *shown, *unix_socket;
} cases[] = {
	{ "127.0.0.1:8080", SVIX, NULL, "http://127.0.0.1:8080/e",
	    "http://127.0.0.1:8080/e", NULL },
	{ "hooks.example.com:80", SVIX, NULL, "http://hooks.example.com:80/e",
	    "http://hooks.example.com:80/e", NULL },
	{ "[2001:db8::1]:8080", SVIX, NULL, "http://[2001:db8::1]:8080/e",
	    "http://[2001:db8::1]:8080/e", NULL },
	/* All addresses: loopback. */
	{ "0.0.0.0:8080", SVIX, NULL, "http://127.0.0.1:8080/e",
	    "http://127.0.0.1:8080/e", NULL },
	{ "[::]:8080", SVIX, NULL, "http://[::1]:8080/e",
	    "http://[::1]:8080/e", NULL },
	{ "[0:0::0]:8080", SVIX, NULL, "http://[::1]:8080/e",
	    "http://[::1]:8080/e", NULL },
	{ "unix:/run/hb.sock", SVIX, NULL, "http://localhost/e",
	    "http://localhost/e", "/run/hb.sock" },
	/* Tokens, which are not shown. */
	{ "127.0.0.1:8080", DIRECT("/p/{token}/x", "path"), NULL,
	    "http://127.0.0.1:8080/p/" ODD_ENCODED "/x",
	    "http://127.0.0.1:8080/p/{token}/x", NULL },
	{ "127.0.0.1:8080", DIRECT("/q", "query.t"), NULL,
	    "http://127.0.0.1:8080/q?t=" ODD_ENCODED,
	    "http://127.0.0.1:8080/q", NULL },
	{ "127.0.0.1:8080", DIRECT("/b", "bearer"), NULL,
	    "http://127.0.0.1:8080/b", "http://127.0.0.1:8080/b", NULL },
	/* Given. */
	{ "127.0.0.1:0", SVIX, "https://u:p@h.example/x?k=v#f",
	    "https://u:p@h.example/x?k=v#f", "https://h.example/x", NULL },
	{ "127.0.0.1:0", DIRECT("/q", "query.t"), "https://h.example/x?k=v",
	    "https://h.example/x?k=v&t=" ODD_ENCODED, "https://h.example/x",
	    NULL },
	{ "127.0.0.1:0", DIRECT("/p/{token}", "path"),
	    "https://h.example/{token}", "https://h.example/" ODD_ENCODED,
	    "https://h.example/{token}", NULL },
	/* One that is there already. */
	{ "127.0.0.1:0", DIRECT("/p/{token}", "path"), "https://h.example/own",
	    "https://h.example/own", "https://h.example/own", NULL },
};

static struct hb_config *
load(const char *listen, const char *endpoint)
{
	char yaml[512], *report;
	struct hb_config *cfg;

	snprintf(yaml, sizeof(yaml),
	    "listen: {address: \"%s\"}\nendpoints: {e: %s}\n" SINKS ROUTES,
	    listen, endpoint);
	cfg = cfg_load(yaml, &report); /* warnings are no fault */
	assert_non_null(cfg);
	free(report);
	return cfg;
}

static void
urls(void **state)
{
	(void)state;
	cfg_write("odd", ODD_TOKEN "\n");
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_config *cfg =
		    load(cases[i].listen, cases[i].endpoint);
		struct hb_arena *arena = hb_arena_new(256);
		struct hb_address address;
		struct hb_error err;

		assert_true(hb_address_make(&address, arena, cfg,
		    &cfg->endpoints[0], cases[i].url, HB_SPAN(ODD_TOKEN),
		    &err));
		assert_string_equal(address.url, cases[i].want);
		assert_string_equal(address.shown, cases[i].shown);
		assert_int_equal(address.is_local, cases[i].url == NULL);
		if (cases[i].unix_socket == NULL)
			assert_null(address.unix_socket);
		else
			assert_string_equal(address.unix_socket,
			    cases[i].unix_socket);
		hb_arena_free(arena);
		hb_config_unref(cfg);
	}
}

static const struct {
	const char *listen, *url, *want;
} refused[] = {
	{ "127.0.0.1:0", NULL, "the listener 127.0.0.1:0 has another port at "
	    "each start; say which by --url" },
#define NO_URL "--url: expected a whole URL, such as " \
	"https://hooks.example.com/webhooks/reducto"
	{ "127.0.0.1:8080", "", NO_URL },
	{ "127.0.0.1:8080", "h.example/x", NO_URL },
	{ "127.0.0.1:8080", "ftp://h.example/x", NO_URL },
	{ "127.0.0.1:8080", "file:///etc/passwd", NO_URL },
};

static void
no_urls(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(refused); i++) {
		struct hb_config *cfg = load(refused[i].listen, SVIX);
		struct hb_arena *arena = hb_arena_new(256);
		struct hb_address address;
		struct hb_error err;

		assert_false(hb_address_make(&address, arena, cfg,
		    &cfg->endpoints[0], refused[i].url, HB_SPAN_NONE, &err));
		assert_int_equal(err.code, HB_E_CONFIG);
		assert_string_equal(err.text, refused[i].want);
		hb_arena_free(arena);
		hb_config_unref(cfg);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls),
		cmocka_unit_test(no_urls),
	};

	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
