/* SPDX-License-Identifier: Apache-2.0 */
/* values.c - one table of units for reading and for printing */
#include "values.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>


struct unit {
	const char *name; /* NULL ends a table */
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ "GiB", UINT64_C(1) << 30 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "B", 1 },
	{ NULL, 0 },
};

static const struct unit duration_units[] = {
	{ "d", UINT64_C(24) * 60 * 60 * 1000 },
	{ "h", UINT64_C(60) * 60 * 1000 },
	{ "m", UINT64_C(60) * 1000 },
	{ "s", 1000 },
	{ "ms", 1 },
	{ NULL, 0 },
};

static const struct unit percent_units[] = {
	{ "%", 1 },
	{ NULL, 0 },
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The digits at the beginning; *rest is what follows them. */
static enum hb_value
read_digits(const char *text, uint64_t *out, const char **rest)
{
	enum hb_value result = HB_VALUE_OK;

	if (!is_digit(*text) || (*text == '0' && is_digit(text[1])))
		return HB_VALUE_MALFORMED;
	for (*out = 0; is_digit(*text); text++)
		if (__builtin_mul_overflow(*out, 10, out) ||
		    __builtin_add_overflow(*out, (uint64_t)(*text - '0'), out))
			result = HB_VALUE_TOO_LARGE;
	*rest = text;
	return result;
}

enum hb_value
hb_value_uint(const char *text, uint64_t *out)
{
	const char *rest = "";
	enum hb_value result = read_digits(text, out, &rest);

	return *rest == '\0' ? result : HB_VALUE_MALFORMED;
}

static enum hb_value
read_with_unit(const char *text, const struct unit *units, uint64_t *out)
{
	const char *rest = "";
	enum hb_value result = read_digits(text, out, &rest);

	if (result == HB_VALUE_MALFORMED)
		return result;
	if (*rest == '\0')
		return result == HB_VALUE_OK ? HB_VALUE_NO_UNIT : result;
	while (*rest == ' ')
		rest++;
	for (; units->name != NULL; units++) {
		if (strcmp(rest, units->name) != 0)
			continue;
		if (__builtin_mul_overflow(*out, units->factor, out))
			return HB_VALUE_TOO_LARGE;
		return result;
	}
	return HB_VALUE_MALFORMED;
}

enum hb_value
hb_value_size(const char *text, uint64_t *out)
{
	enum hb_value result = read_with_unit(text, size_units, out);

	return result == HB_VALUE_NO_UNIT ? HB_VALUE_OK : result;
}

enum hb_value
hb_value_duration(const char *text, uint64_t *out)
{
	enum hb_value result = read_with_unit(text, duration_units, out);

	return result == HB_VALUE_NO_UNIT && *out == 0 ? HB_VALUE_OK : result;
}

enum hb_value
hb_value_percent(const char *text, uint64_t *out)
{
	enum hb_value result = read_with_unit(text, percent_units, out);

	return result == HB_VALUE_NO_UNIT ? HB_VALUE_OK : result;
}

/* --- addresses ------------------------------------------------------------ */

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

static bool
bits_beyond(const struct hb_cidr *cidr)
{
	for (unsigned i = cidr->bits; i < 128; i++)
		if (cidr->addr[i / 8] & (0x80u >> i % 8))
			return true;
	return false;
}

bool
hb_value_cidr(const char *text, struct hb_cidr *out, bool *base_is_exact)
{
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char addr[INET6_ADDRSTRLEN];
	uint64_t bits;
	unsigned width;

	if (len >= sizeof(addr))
		return false;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (inet_pton(AF_INET, addr, out->addr + sizeof(mapped_prefix)) == 1) {
		memcpy(out->addr, mapped_prefix, sizeof(mapped_prefix));
		width = 32;
	} else if (inet_pton(AF_INET6, addr, out->addr) == 1) {
		width = 128;
	} else {
		return false;
	}
	bits = width;
	if (slash != NULL &&
	    (hb_value_uint(slash + 1, &bits) != HB_VALUE_OK || bits > width))
		return false;
	out->bits = 128 - width + (unsigned)bits;
	*base_is_exact = !bits_beyond(out);
	return true;
}

void
hb_value_cut_cidr(struct hb_cidr *cidr)
{
	for (unsigned i = cidr->bits; i < 128; i++)
		cidr->addr[i / 8] &= (uint8_t)~(0x80u >> i % 8);
}

/* --- decimals ------------------------------------------------------------- */

static const char *
skip_digits(const char *text)
{
	while (is_digit(*text))
		text++;
	return text;
}

bool
hb_value_is_decimal(const char *text)
{
	const char *digits;

	if (*text == '-')
		text++;
	digits = text;
	text = skip_digits(text);
	if (text == digits || (*digits == '0' && text > digits + 1))
		return false;
	if (*text == '.') {
		digits = ++text;
		text = skip_digits(text);
		if (text == digits)
			return false;
	}
	if (*text == 'e' || *text == 'E') {
		text++;
		if (*text == '+' || *text == '-')
			text++;
		digits = text;
		text = skip_digits(text);
		if (text == digits)
			return false;
	}
	return *text == '\0';
}

/* --- printing ------------------------------------------------------------- */

static void
print_with_unit(uint64_t value, const struct unit *units,
    char out[HB_VALUE_SIZE])
{
	while (units->factor > 1 && (value == 0 || value % units->factor != 0))
		units++;
	snprintf(out, HB_VALUE_SIZE, "%" PRIu64 "%s", value / units->factor,
	    units->name);
}

void
hb_value_print_size(uint64_t bytes, char out[HB_VALUE_SIZE])
{
	print_with_unit(bytes, size_units, out);
}

void
hb_value_print_duration(uint64_t ms, char out[HB_VALUE_SIZE])
{
	print_with_unit(ms, duration_units, out);
}

void
hb_value_print_percent(uint64_t percent, char out[HB_VALUE_SIZE])
{
	print_with_unit(percent, percent_units, out);
}

void
hb_value_print_cidr(const struct hb_cidr *cidr, char out[HB_VALUE_SIZE])
{
	bool is_v4 = cidr->bits >= 96 &&
	    memcmp(cidr->addr, mapped_prefix, sizeof(mapped_prefix)) == 0;
	char addr[INET6_ADDRSTRLEN];

	if (is_v4)
		inet_ntop(AF_INET, cidr->addr + sizeof(mapped_prefix), addr,
		    sizeof(addr));
	else
		inet_ntop(AF_INET6, cidr->addr, addr, sizeof(addr));
	snprintf(out, HB_VALUE_SIZE, "%s/%u", addr,
	    is_v4 ? cidr->bits - 96 : cidr->bits);
}
