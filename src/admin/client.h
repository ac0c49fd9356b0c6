/* The command line's way to a running turnout: one request over the admin listener, its answer as a
 * table or as it is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was written on the command line: an option ("over") or an argument ("POOL/ADDRESS"), each
 * found good for what it is. */
struct client_given {
    const char *name, *value; /* value of one that takes none: "" */
};

struct client_options {
    const char *admin; /* "unix:/run/turnout.sock" or an address */
    bool is_json;
    uint64_t number; /* follow: of a connection; 0: all */
    const struct client_given *given;
    size_t given_count;
};

const char *client_given(const struct client_options *options,
                         const char *name); /* NULL: not given */

/* Exit codes: 0 done, 1 refused or failed, 3 not reached. What went wrong has been said on stderr.
 */
int client_status(const struct client_options *options);
int client_connections(const struct client_options *options);
int client_servers(const struct client_options *options);
int client_weight(const struct client_options *options);
int client_add(const struct client_options *options);
int client_remove(const struct client_options *options);
int client_drain(const struct client_options *options);
int client_undrain(const struct client_options *options);
int client_rebalance(const struct client_options *options);
int client_reload(const struct client_options *options);
int client_follow(const struct client_options *options);
