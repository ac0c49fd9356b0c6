/* The tables of directives.def, as sections: for the loader and for whoever shows or documents
 * them. */
#pragma once

#include "conf/directive.h"

extern const struct section section_top, section_timeouts, section_lifetime, section_tcp,
    section_limits, section_log, section_admin, section_listener, section_tls, section_certificate,
    section_pool, section_pool_keepalive, section_server, section_route, section_match,
    section_websocket, section_share, section_respond, section_redirect, section_access,
    section_jwt, section_auth, section_rate, section_relay, section_discovered, section_admission,
    section_check, section_check_http, section_check_websocket, section_passive, section_drain,
    section_shard, section_larger, section_sticky_kind, section_sticky, section_sticky_cookie,
    section_guard, section_store, section_store_memory;
