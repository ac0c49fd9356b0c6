/* directives.def, once per section. */
#include "conf/sections.h"

#include "base/check.h"

#define ROW_(name, type, field, preset, min, max, reload, help)                                    \
    {#name, TYPE_##type, RELOAD_##reload, offsetof(STRUCT, field), preset, min, max, help, #field},

#define SECTION(tag, shown, ...)                                                                   \
    static const char *const tag##_others[] = {__VA_ARGS__ __VA_OPT__(, ) NULL};                   \
    const struct section section_##tag = {shown, tag##_rows, ARRAY_LEN(tag##_rows), tag##_others};

#define STRUCT struct settings
static const struct directive top_rows[] = {
#define DIRECTIVES_top
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_top
};
SECTION(top, "", "include", "admin", "listeners", "timeouts", "tcp", "limits", "relay",
        "trusted_proxies", "log", "pools", "routes", "error_pages", "stores")

#undef STRUCT
#define STRUCT struct timeouts
static const struct directive timeouts_rows[] = {
#define DIRECTIVES_timeouts
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_timeouts
};
SECTION(timeouts, "timeouts", "lifetime_jitter")

#undef STRUCT
/* Its field is in two structs, and is given by itself. */
struct lifetime {
    uint64_t lifetime_jitter;
};
#define STRUCT struct lifetime
static const struct directive lifetime_rows[] = {
#define DIRECTIVES_lifetime
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_lifetime
};
SECTION(lifetime, "timeouts")

#undef STRUCT
#define STRUCT struct settings
static const struct directive tcp_rows[] = {
#define DIRECTIVES_tcp
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_tcp
};
SECTION(tcp, "tcp")

#undef STRUCT
#define STRUCT struct settings
static const struct directive limits_rows[] = {
#define DIRECTIVES_limits
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_limits
};
SECTION(limits, "limits")

#undef STRUCT
#define STRUCT struct relay_settings
static const struct directive relay_rows[] = {
#define DIRECTIVES_relay
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_relay
};
SECTION(relay, "relay")

#undef STRUCT
#define STRUCT struct settings
static const struct directive log_rows[] = {
#define DIRECTIVES_log
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_log
};
SECTION(log, "log")

#undef STRUCT
#define STRUCT struct settings
static const struct directive admin_rows[] = {
#define DIRECTIVES_admin
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_admin
};
SECTION(admin, "admin")

#undef STRUCT
#define STRUCT struct listener_settings
static const struct directive listener_rows[] = {
#define DIRECTIVES_listener
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_listener
};
SECTION(listener, "listeners", "tls")

#undef STRUCT
#define STRUCT struct listener_settings
static const struct directive tls_rows[] = {
#define DIRECTIVES_tls
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_tls
};
SECTION(tls, "tls", "certificates")

#undef STRUCT
#define STRUCT struct certificate_settings
static const struct directive certificate_rows[] = {
#define DIRECTIVES_certificate
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_certificate
};
SECTION(certificate, "certificates")

#undef STRUCT
#define STRUCT struct pool_settings
static const struct directive pool_rows[] = {
#define DIRECTIVES_pool
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_pool
};
SECTION(pool, "pools", "servers", "keepalive", "health", "drain", "admission", "admission_pool")

#undef STRUCT
#define STRUCT struct pool_settings
static const struct directive pool_keepalive_rows[] = {
#define DIRECTIVES_pool_keepalive
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_pool_keepalive
};
SECTION(pool_keepalive, "keepalive")

#undef STRUCT
#define STRUCT struct server_settings
static const struct directive server_rows[] = {
#define DIRECTIVES_server
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_server
};
SECTION(server, "servers")

#undef STRUCT
#define STRUCT struct route_settings
static const struct directive route_rows[] = {
#define DIRECTIVES_route
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_route
};
SECTION(route, "routes", "match", "timeouts", "websocket", "relay", "pools", "respond", "redirect",
        "headers", "access", "rate", "shard", "sticky", "guard")

#undef STRUCT
#define STRUCT struct route_settings
static const struct directive match_rows[] = {
#define DIRECTIVES_match
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_match
};
SECTION(match, "match", "methods", "headers")

#undef STRUCT
#define STRUCT struct route_settings
static const struct directive websocket_rows[] = {
#define DIRECTIVES_websocket
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_websocket
};
SECTION(websocket, "websocket")

#undef STRUCT
#define STRUCT struct share_settings
static const struct directive share_rows[] = {
#define DIRECTIVES_share
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_share
};
SECTION(share, "pools")

#undef STRUCT
#define STRUCT struct route_settings
static const struct directive respond_rows[] = {
#define DIRECTIVES_respond
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_respond
};
SECTION(respond, "respond", "headers")

#undef STRUCT
#define STRUCT struct route_settings
static const struct directive redirect_rows[] = {
#define DIRECTIVES_redirect
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_redirect
};
SECTION(redirect, "redirect")

#undef STRUCT
#define STRUCT struct route_settings
static const struct directive access_rows[] = {
#define DIRECTIVES_access
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_access
};
SECTION(access, "access", "jwt", "auth")

#undef STRUCT
#define STRUCT struct route_settings
static const struct directive jwt_rows[] = {
#define DIRECTIVES_jwt
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_jwt
};
SECTION(jwt, "access.jwt")

#undef STRUCT
#define STRUCT struct route_settings
static const struct directive auth_rows[] = {
#define DIRECTIVES_auth
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_auth
};
SECTION(auth, "access.auth")

#undef STRUCT
#define STRUCT struct route_settings
static const struct directive rate_rows[] = {
#define DIRECTIVES_rate
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_rate
};
SECTION(rate, "rate")

#undef STRUCT
#define STRUCT struct pool_settings
static const struct directive discovered_rows[] = {
#define DIRECTIVES_discovered
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_discovered
};
SECTION(discovered, "servers")

#undef STRUCT
#define STRUCT struct admission_settings
static const struct directive admission_rows[] = {
#define DIRECTIVES_admission
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_admission
};
SECTION(admission, "admission")

#undef STRUCT
#define STRUCT struct check_settings
static const struct directive check_rows[] = {
#define DIRECTIVES_check
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_check
};
SECTION(check, "health")

#undef STRUCT
#define STRUCT struct check_settings
static const struct directive check_http_rows[] = {
#define DIRECTIVES_check_http
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_check_http
};
SECTION(check_http, "health.http", "interval", "fast_interval", "rise", "fall", "timeout")

#undef STRUCT
#define STRUCT struct check_settings
static const struct directive check_websocket_rows[] = {
#define DIRECTIVES_check_websocket
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_check_websocket
};
SECTION(check_websocket, "health.websocket", "interval", "fast_interval", "rise", "fall", "timeout")

#undef STRUCT
#define STRUCT struct passive_settings
static const struct directive passive_rows[] = {
#define DIRECTIVES_passive
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_passive
};
SECTION(passive, "health.passive")

#undef STRUCT
#define STRUCT struct pool_settings
static const struct directive drain_rows[] = {
#define DIRECTIVES_drain
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_drain
};
SECTION(drain, "drain")

#undef STRUCT
#define STRUCT struct shard_settings
static const struct directive shard_rows[] = {
#define DIRECTIVES_shard
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_shard
};
SECTION(shard, "shard", "larger")

#undef STRUCT
#define STRUCT struct larger_settings
static const struct directive larger_rows[] = {
#define DIRECTIVES_larger
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_larger
};
SECTION(larger, "shard.larger")

#undef STRUCT
#define STRUCT struct sticky_settings
static const struct directive sticky_kind_rows[] = {
#define DIRECTIVES_sticky_kind
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_sticky_kind
};
SECTION(sticky_kind, "sticky")

#undef STRUCT
#define STRUCT struct sticky_settings
static const struct directive sticky_rows[] = {
#define DIRECTIVES_sticky
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_sticky
};
SECTION(sticky, "sticky", "cookie", "query", "learn", "source", "preset", "same_site", "secure",
        "http_only", "path", "max_age")

#undef STRUCT
#define STRUCT struct sticky_settings
static const struct directive sticky_cookie_rows[] = {
#define DIRECTIVES_sticky_cookie
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_sticky_cookie
};
SECTION(sticky_cookie, "sticky")

#undef STRUCT
#define STRUCT struct guard_settings
static const struct directive guard_rows[] = {
#define DIRECTIVES_guard
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_guard
};
SECTION(guard, "guard")

#undef STRUCT
#define STRUCT struct store_settings
static const struct directive store_rows[] = {
#define DIRECTIVES_store
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_store
};
SECTION(store, "stores", "memory")

#undef STRUCT
#define STRUCT struct store_settings
static const struct directive store_memory_rows[] = {
#define DIRECTIVES_store_memory
#define ROW ROW_
#include "conf/directives.def"
#undef DIRECTIVES_store_memory
};
SECTION(store_memory, "stores.memory")
