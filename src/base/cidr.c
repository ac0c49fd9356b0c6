/* Networks lie inside one another or apart, never across. So, sorted by their first address and the
 * wider one first, each that lies inside the last one kept says nothing new and is dropped; of what
 * remains only the last that begins at or before an address can hold it. */
#include "base/cidr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* --- addresses
 * ------------------------------------------------------------------------------------- */

struct ip ip_of_v4(const uint8_t at[4])
{
    struct ip ip = {.family = IP_V4};

    memcpy(ip.at, at, 4);
    return ip;
}

struct ip ip_of_v6(const uint8_t at[16])
{
    struct ip ip = {.family = IP_V6};

    if (memcmp(at, mapped, sizeof mapped) == 0)
        return ip_of_v4(at + sizeof mapped);
    memcpy(ip.at, at, sizeof ip.at);
    return ip;
}

/* As it is written: a mapped address stays one of IPv6. */
static int parse_as_written(struct bytes text, struct ip *ret_ip)
{
    char copy[IP_TEXT_BYTES];
    uint8_t at[16];

    if (text.len == 0 || text.len >= sizeof copy || memchr(text.at, 0, text.len))
        return -EINVAL;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';

    struct ip ip = {.family = strchr(copy, ':') ? IP_V6 : IP_V4};
    if (inet_pton(ip.family == IP_V6 ? AF_INET6 : AF_INET, copy, at) != 1)
        return -EINVAL;
    memcpy(ip.at, at, ip.family == IP_V6 ? 16 : 4);
    *ret_ip = ip;
    return 0;
}

int ip_parse(struct bytes text, struct ip *ret_ip)
{
    struct ip ip;
    int error = parse_as_written(text, &ip);

    if (error)
        return error;
    *ret_ip = ip.family == IP_V6 ? ip_of_v6(ip.at) : ip;
    return 0;
}

/* Every request writes its client's: inet_ntop prints with a format, which costs ten times as much.
 */
static void write_v4(const uint8_t at[4], char *text)
{
    for (unsigned i = 0; i < 4; i++) {
        if (at[i] >= 100)
            *text++ = (char)('0' + at[i] / 100);
        if (at[i] >= 10)
            *text++ = (char)('0' + at[i] / 10 % 10);
        *text++ = (char)('0' + at[i] % 10);
        *text++ = i < 3 ? '.' : '\0';
    }
}

const char *ip_write(const struct ip *ip, char text[IP_TEXT_BYTES])
{
    if (ip->family == IP_UNIX)
        memcpy(text, "unix", sizeof "unix");
    else if (ip->family == IP_V4)
        write_v4(ip->at, text);
    else
        inet_ntop(AF_INET6, ip->at, text, IP_TEXT_BYTES);
    return text;
}

struct ip ip_network(const struct ip *ip, unsigned bits)
{
    struct ip network = *ip;

    for (unsigned i = 0; i < sizeof network.at; i++) {
        unsigned kept = bits > 8 * i ? bits - 8 * i : 0;
        if (kept < 8)
            network.at[i] &= (uint8_t)(0xff00u >> kept);
    }
    return network;
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* --- networks
 * -------------------------------------------------------------------------------------- */

/* Digits after the slash: no sign, no space, no zero in front. */
static int parse_bits(const char *text, unsigned max, unsigned *ret_bits)
{
    unsigned bits = 0;

    if (!text[0] || strlen(text) > 3 || (text[0] == '0' && text[1]))
        return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        bits = bits * 10 + (unsigned)(*text - '0');
    }
    if (bits > max)
        return -EINVAL;
    *ret_bits = bits;
    return 0;
}

int cidr_parse(const char *text, struct cidr *ret_cidr)
{
    const char *slash = strchr(text, '/');
    struct bytes address = bytes_of(text);
    struct ip ip;

    if (strcmp(text, "unix") == 0) {
        *ret_cidr = (struct cidr){.ip = {.family = IP_UNIX}};
        return 0;
    }
    if (slash)
        address.len = (size_t)(slash - text);
    int error = parse_as_written(address, &ip);
    if (error)
        return error;
    unsigned max = ip.family == IP_V6 ? 128 : 32, bits = max;
    if (slash && parse_bits(slash + 1, max, &bits))
        return -EINVAL;

    struct ip network = ip_network(&ip, bits);
    error = ip_equal(&ip, &network) ? 0 : -EDOM;
    if (network.family == IP_V6 && bits >= 96 && ip_of_v6(network.at).family == IP_V4) {
        network = ip_of_v6(network.at);
        bits -= 96;
    }
    *ret_cidr = (struct cidr){.ip = network, .bits = (uint8_t)bits};
    return error;
}

static bool holds(const struct cidr *cidr, const struct ip *ip)
{
    struct ip network = ip_network(ip, cidr->bits);

    return ip_equal(&network, &cidr->ip);
}

static int compare(const void *a, const void *b)
{
    const struct cidr *one = a, *two = b;
    int order = memcmp(&one->ip, &two->ip, sizeof one->ip);

    return order ? order : one->bits - two->bits;
}

static void drop_nested(struct cidr_set *set)
{
    size_t kept = 0;

    for (size_t i = 0; i < set->count; i++)
        if (kept == 0 || !holds(&set->at[kept - 1], &set->at[i].ip))
            set->at[kept++] = set->at[i];
    set->count = kept;
}

int cidr_set_init(struct cidr_set *set, const char *const *texts, size_t count, size_t *ret_which)
{
    struct cidr_set made = {.count = count};

    *set = (struct cidr_set){0};
    if (!count)
        return 0;
    made.at = calloc(count, sizeof *made.at);
    if (!made.at)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        int error = cidr_parse(texts[i], &made.at[i]);
        if (!error)
            continue;
        if (ret_which)
            *ret_which = i;
        cidr_set_done(&made);
        return error;
    }
    qsort(made.at, count, sizeof *made.at, compare);
    drop_nested(&made);
    *set = made;
    return 0;
}

void cidr_set_done(struct cidr_set *set)
{
    free(set->at);
    *set = (struct cidr_set){0};
}

bool cidr_set_has(const struct cidr_set *set, const struct ip *ip)
{
    size_t from = 0, to = set->count; /* the last one that begins at or before it is in between */

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (memcmp(&set->at[middle].ip, ip, sizeof *ip) <= 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from && holds(&set->at[from - 1], ip);
}
