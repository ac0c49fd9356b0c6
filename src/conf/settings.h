/* What a configuration file says, typed, complete with defaults, and checked in itself (types,
 * bounds, names that refer to each other). All memory is the settings' own arena. Durations are
 * microseconds, 0 means none; sizes are bytes, 0 means no limit. */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/log.h"

/* Where something was written, for errors found later (a port that is taken, a certificate that
 * does not load). file is NULL for what no file says (defaults, the command line). */
struct mark {
    const char *file;
    uint32_t line, column; /* from 1 */
};

struct timeouts {
    uint64_t request_head, body, queue, connect, handshake, response, tunnel_idle, fin, lifetime,
        keepalive, shutdown_grace;
};

struct limits {
    uint64_t request_head, response_head, headers, body, unsent, unsent_worker;
};

enum on_removed { ON_REMOVED_KEEP, ON_REMOVED_CLOSE };
enum tls_mode { TLS_NONE, TLS_TERMINATE, TLS_PASSTHROUGH };
enum traceparent { TRACEPARENT_MAKE, TRACEPARENT_PASS };
enum proxy_in { PROXY_IN_NO, PROXY_IN_OPTIONAL, PROXY_IN_REQUIRED };
enum proxy_out { PROXY_OUT_NO, PROXY_OUT_V1, PROXY_OUT_V2, PROXY_OUT_V2_CRC32C };
enum scheme { SCHEME_ANY, SCHEME_HTTP, SCHEME_HTTPS };
enum encoded_slashes { ENCODED_SLASHES_KEEP, ENCODED_SLASHES_REFUSE };

/* A list of texts, or a single one. */
struct texts {
    const char **at;
    struct mark *marks;
    size_t count; /* 0: left out */
};

struct rate {                 /* 10/s: count 10, per_usec 1000000 */
    uint64_t count, per_usec; /* count 0: no limit */
};

enum auth_fail { AUTH_FAIL_CLOSED, AUTH_FAIL_OPEN };

struct access_settings {
    struct texts allow, deny; /* as cidr_parse takes them */
    struct texts origins;
    bool has_jwt, has_auth;
    const char *jwt_keys; /* what they are, not where */
    struct mark jwt_keys_mark;
    const char *jwt_issuer; /* NULL: any */
    struct texts jwt_audience, jwt_from;
    uint64_t jwt_leeway;
    const char *auth_url;
    struct mark auth_url_mark;
    struct texts auth_copy;
    uint64_t auth_timeout;
    enum auth_fail auth_fail;
};

/* Which ways of relaying may serve, by name; none named: all that there are. */
struct relay_settings {
    struct texts tiers;
};

struct rate_settings { /* per client address */
    uint64_t connections;
    struct rate handshakes, requests;
};

struct certificate_settings {
    struct mark mark;
    const char *cert,
        *key; /* paths, relative ones already joined to the directory of the naming file */
};

enum check_kind { CHECK_TCP, CHECK_HTTP, CHECK_WEBSOCKET, CHECK_KINDS };

/* One way of asking a server how it is. */
struct check_settings {
    struct mark mark;
    bool is_on;
    uint64_t interval, fast_interval, timeout; /* fast: while what is known may be changing */
    uint64_t rise, fall;                       /* answers in a row that change the verdict */
    const char *path, *host;   /* http, websocket; host NULL: the route's, or ours */
    const char *status;        /* http: "200-399", or several with commas */
    bool ping;                 /* websocket: a ping must get its pong */
    const char *send, *expect; /* websocket: a text message, and what is answered; or NULL */
};

/* What requests themselves tell of a server. */
struct passive_settings {
    bool is_on;
    uint64_t failures, window; /* so many within so long */
    uint64_t slow;             /* a handshake that takes longer has failed; 0: none does */
    uint64_t early;            /* a reset so soon after the handshake is a failure; 0: none is */
    uint64_t eject, eject_max; /* doubles from the one to the other */
    uint64_t max_ejected;      /* percent of the pool's servers */
};

struct admission_settings { /* handshakes */
    struct rate rate;       /* count 0: no limit */
    uint64_t burst, queue;
};

enum on_down { ON_DOWN_KEEP, ON_DOWN_CLOSE, ON_DOWN_DRAIN };

enum store_kind { STORE_MEMORY, STORE_REDIS };
enum store_fail { STORE_FAIL_OPEN, STORE_FAIL_CLOSED };

struct store_settings { /* `stores` */
    struct mark mark;
    const char *name;
    enum store_kind kind;
    const char
        *redis; /* redis://[user:password@]host:port/db, or redis+sentinel://h:p,h:p/MASTER/db */
    struct mark redis_mark;
    uint64_t timeout, ttl;
    uint64_t entries; /* memory: most that it holds */
    enum store_fail fail;
};

enum on_move { ON_MOVE_LEAVE, ON_MOVE_DRAIN };

struct larger_settings {
    struct mark mark;
    const char *match; /* "vip-*" */
    uint64_t servers;
};

struct shard_settings {
    struct mark mark;
    const char *key; /* NULL: the route is not sharded */
    uint64_t servers;
    struct larger_settings *larger;
    size_t larger_count;
    enum on_move on_move;
};

enum sticky_kind {
    STICKY_NONE,
    STICKY_COOKIE, /* ours, inserted */
    STICKY_QUERY,
    STICKY_LEARN, /* the application's own */
    STICKY_SOURCE,
    STICKY_SOCKET_IO
};
enum same_site { SAME_SITE_LAX, SAME_SITE_STRICT, SAME_SITE_NONE };
enum secure { SECURE_AUTO, SECURE_YES, SECURE_NO }; /* AUTO: where the client speaks TLS */

struct sticky_settings {
    struct mark mark;
    enum sticky_kind kind;
    const char *name; /* of the cookie or the query's parameter; learn: "cookie.N" or "header.N" */
    uint64_t source_bits; /* of an IPv4 address; an IPv6 one counts by /64 or fewer */
    const char *store;    /* NULL: none */
    size_t store_index;   /* in settings.stores */
    enum same_site same_site;
    enum secure secure;
    bool http_only;
    const char *path;
    uint64_t max_age; /* 0: until the browser ends */
};

struct guard_settings {
    struct mark mark;
    bool is_on;
    uint64_t max_message; /* bytes; 0: no limit */
    struct rate messages; /* of the client */
    uint64_t ping, pong;
    bool close_at_expiry;
};

struct listener_settings {
    struct mark mark; /* of `listen` */
    const char *listen;
    uint64_t unix_mode; /* permissions of a Unix socket */
    enum tls_mode tls_mode;
    struct certificate_settings *certificates;
    size_t certificate_count;
    enum proxy_in proxy_in;           /* proxy_protocol */
    const char *tcp_pool;             /* NULL: HTTP is spoken here, or TLS passes through */
    struct route_settings *tcp_route; /* for `tcp`, made up of general settings; else NULL */
    const char *sessions;             /* a store whose entries are read and written here; or NULL */
    size_t sessions_index;            /* in settings.stores */
    struct mark sessions_mark;
    struct mark tcp_mark, proxy_mark;
};

struct server_settings {
    struct mark mark;
    const char *address;
    uint64_t weight, max_connections;
    bool backup; /* serves when no other can */
};

struct pool_settings {
    struct mark mark;
    const char *name;
    const char *balance;
    enum proxy_out proxy_out; /* proxy_protocol */
    enum on_removed on_removed;
    uint64_t keepalive_idle, keepalive_max;
    struct server_settings *servers; /* none where they are discovered */
    size_t server_count;
    const char *dns;  /* "name:port": the servers are its addresses; NULL: not so */
    const char *file; /* one "ADDRESS [weight=N]" a line; NULL: not so */
    struct mark discovery_mark;
    uint64_t discovered_weight, discovered_max_connections;
    const char *hash;           /* what hashing balancers look at */
    struct mark hash_mark;      /* of the pool where hash is left out */
    uint64_t slow_start, panic; /* microseconds; percent */
    struct admission_settings admission, admission_pool;
    struct check_settings checks[CHECK_KINDS];
    struct passive_settings passive;
    enum on_down on_down;
    uint64_t drain_over, drain_code; /* code: 1001 or 1012 */
};

/* A field of the request; of several with that name, one line does. */
struct field_match_settings {
    const char *name, *value;
    enum { FIELD_IS, FIELD_PRESENT, FIELD_ABSENT } kind;
    bool is_secret; /* the value came from { file } or { env } */
};

/* What a route asks beside host and path; none: any. */
struct match_settings {
    enum scheme scheme;
    const char **methods;
    size_t method_count;
    struct field_match_settings *fields;
    size_t field_count;
};

/* One of several pools. */
struct share_settings {
    struct mark mark;
    const char *pool;
    uint64_t weight;   /* 0: never */
    size_t pool_index; /* in settings.pools */
};

enum edit_op { EDIT_SET, EDIT_ADD, EDIT_REMOVE };
struct edit_settings {
    struct mark mark;
    enum edit_op op;
    const char *name, *value; /* no value for EDIT_REMOVE */
    bool is_literal;          /* it came from { file } or { env }: no braces are read */
};
struct edits_settings {
    struct edit_settings *at;
    size_t count;
};

enum route_kind { ROUTE_POOLS, ROUTE_RESPOND, ROUTE_REDIRECT };

struct error_page_settings {
    struct mark mark; /* of the path */
    uint64_t status;
    const char *path;
};

struct route_settings {
    struct mark mark;
    const char *name;                 /* as written, or its number in the file, from 1 */
    const char *host, *path, *prefix; /* NULL: any */
    struct mark host_mark, path_mark, prefix_mark;
    struct mark pool_mark;
    enum route_kind kind;
    const char *pool;              /* NULL: several, or none */
    size_t pool_index;             /* in settings.pools; of several the first one's */
    struct share_settings *shares; /* `pools`; none: `pool` alone */
    size_t share_count;
    struct match_settings more; /* of match */
    const char *strip_prefix;   /* NULL: nothing */
    struct edits_settings request_edits, response_edits;
    uint64_t respond_status;
    const char *respond_body; /* NULL: none */
    struct edits_settings respond_fields;
    uint64_t redirect_status;
    const char *redirect_to;
    struct mark strip_mark, respond_mark, redirect_mark;
    enum encoded_slashes encoded_slashes;
    enum on_removed on_removed; /* inherits the pool's */
    bool require_key; /* websocket.require_key, default yes: 400 without Sec-WebSocket-Key */
    uint64_t lifetime_jitter;    /* percent, default 10 */
    struct relay_settings relay; /* the global ones, or the route's own */
    struct timeouts timeouts;    /* the global ones, with the route's own laid over them */
    struct access_settings access;
    struct rate_settings rate;
    struct shard_settings shard;
    struct sticky_settings sticky;
    struct guard_settings guard;
};

struct settings {
    struct arena arena;
    uint64_t workers;         /* 0: as many as cores */
    const char *user;         /* NULL: stay who we are */
    const char *admin_listen; /* "unix:/run/turnout.sock" when left out; NULL: `admin: no` */
    uint64_t admin_mode;
    bool admin_is_default; /* left out: a path that cannot be opened is a warning, not an error */
    struct mark user_mark, admin_mark;
    struct timeouts timeouts;
    struct limits limits;
    uint64_t tcp_keepalive, tcp_user_timeout; /* microseconds */
    uint64_t retries;
    enum traceparent traceparent;
    struct relay_settings relay;
    const char **trusted_proxies; /* as cidr_parse takes them */
    size_t trusted_proxy_count;
    enum log_level log_level;
    enum log_format log_format;
    const char *log_file; /* "/dev/stderr" and "/dev/stdout": the inherited descriptors */
    struct listener_settings *listeners;
    size_t listener_count;
    struct pool_settings *pools;
    size_t pool_count;
    struct store_settings *stores;
    size_t store_count;
    struct texts resolvers;   /* none: those of /etc/resolv.conf */
    struct texts sticky_keys; /* what sticky cookies are sealed with, the first; all open them */
    enum on_removed on_removed;
    uint64_t lifetime_jitter; /* percent */
    struct error_page_settings *error_pages;
    size_t error_page_count;
    const void **secrets; /* fields whose value came from { file } or { env } */
    size_t secret_count;
    struct route_settings
        *routes; /* without routes and with one pool, one that takes all; none only if all is tcp */
    size_t route_count;
};

/* How text is obtained: conf/ makes no system calls. Results are malloc'ed and the caller's. 0 or a
 * negative errno. `expand` lists the files that an include pattern names, sorted; none is no error.
 */
struct conf_source {
    int (*read)(struct conf_source *source, const char *path, struct bytes *ret_text);
    int (*expand)(struct conf_source *source, const char *pattern, char ***ret_paths,
                  size_t *ret_count);
    const char *(*environment)(struct conf_source *source, const char *name); /* NULL: not set */
    const char *const *tiers; /* names that `relay.tiers` may take; the last must be among them */
    const char *const *balancers; /* names that `balance` may take, ends in NULL; NULL: any */
    /* What floors above know to judge, so that all errors are found at once; NULL: not judged here.
     */
    bool (*is_address)(const char *text);
    bool (*is_endpoint)(const char *text);
    bool (*is_key)(const char *text); /* hash, shard.key, sticky.learn: "cookie.uid" */
    /* stores.redis; words say what is wrong, and no password. */
    bool (*is_store_url)(const char *text, char ret_words[256]);
    bool (*is_match)(const char *host, const char *path, const char *prefix, char ret_words[256]);
    /* Tells what is wrong in a file of servers, by line. */
    void (*judge_servers)(struct bytes text,
                          void (*tell)(void *to, unsigned line, const char *words), void *to);
    /* Tells what is wrong in what a route does. */
    void (*judge)(const struct route_settings *route,
                  void (*tell)(void *to, struct mark mark, const char *words), void *to);
};

/* Errors, all of them, in file order. */
struct report;
struct report *report_new(void); /* NULL: no memory */
struct report *report_free(struct report *report);
size_t report_count(const struct report *report);

/* One error: where, what is wrong, and what to write instead (hint may be NULL). The line of the
 * file and a caret under the column are added by report_text when the text of that file is known.
 */
__attribute__((format(printf, 4, 5))) void report_add(struct report *report, struct mark mark,
                                                      const char *hint, const char *format, ...);
/* "FILE:LINE:COLUMN: error: ...\n    the line\n    ^\n  hint\n" for each, then a count; malloc'ed.
 * NULL: no memory. */
char *report_text(const struct report *report);
/* The same for programs: one call per error. */
void report_each(const struct report *report,
                 void (*tell)(void *to, struct mark mark, const char *words, const char *hint),
                 void *to);

/* Reads the file with all it includes. NULL when there is any error: the report says all of them.
 */
struct settings *settings_load(struct conf_source *source, const char *path, struct report *report);
/* The same from text that is no file (`proxy`, tests): `name` stands in errors. */
struct settings *settings_parse(struct conf_source *source, const char *name, struct bytes text,
                                struct report *report);
struct settings *settings_free(struct settings *settings); /* accepts NULL, returns NULL */

/* The whole configuration as it is in force, as YAML, with every default written out and what came
 * from { file } or { env } masked as "***": malloc'ed; NULL: no memory. For `check --show`. */
char *settings_text(const struct settings *settings);
