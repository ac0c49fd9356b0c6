/* IP addresses without a port, and sets of networks: who is trusted, allowed, denied.
 *
 * An IPv4 address is the same whether it comes as such or mapped into IPv6 (::ffff:1.2.3.4), and
 * IPv6 networks hold no IPv4 address: "::/0" is everything in IPv6, "0.0.0.0/0" everything in IPv4.
 * A client of a Unix socket has no address; the word "unix" means all of them. */
#pragma once

#include "base/bytes.h"

enum ip_family { IP_UNIX, IP_V4, IP_V6 };

/* Comparable by memcmp: no padding, and what the family does not need is 0. All zero: Unix. */
struct ip {
    uint8_t family; /* enum ip_family */
    uint8_t at[16]; /* network order; IPv4: the first four */
};

/* A numeric address without port, brackets or zone: 0 or -EINVAL. A mapped one becomes IPv4. */
int ip_parse(struct bytes text, struct ip *ret_ip);
/* Of the bytes of an IPv6 address; a mapped one becomes IPv4. */
struct ip ip_of_v6(const uint8_t at[16]);
struct ip ip_of_v4(const uint8_t at[4]);

/* Canonical; "unix" for a client of a Unix socket. Returns `text`. */
#define IP_TEXT_BYTES 46
const char *ip_write(const struct ip *ip, char text[IP_TEXT_BYTES]);

/* The network that the first `bits` bits name: what follows them is 0. */
struct ip ip_network(const struct ip *ip, unsigned bits);
bool ip_equal(const struct ip *a, const struct ip *b);

struct cidr {
    struct ip ip;
    uint8_t bits; /* that count: 0 to 32 or 128; of Unix 0 */
};

/* "10.0.0.0/8", "2001:db8::/32", a single address, or "unix". 0; -EINVAL; -EDOM where bits are set
 * behind the prefix (10.0.0.1/8), with ret_cidr being the network that may have been meant. */
int cidr_parse(const char *text, struct cidr *ret_cidr);

/* Sorted and without overlaps, so a look-up is a binary search. A zeroed set is empty. */
struct cidr_set {
    struct cidr *at;
    size_t count;
};

/* 0, -ENOMEM, or what cidr_parse said, and then *ret_which is the text at fault (may be NULL). */
int cidr_set_init(struct cidr_set *set, const char *const *texts, size_t count, size_t *ret_which);
void cidr_set_done(struct cidr_set *set);
bool cidr_set_has(const struct cidr_set *set, const struct ip *ip);
