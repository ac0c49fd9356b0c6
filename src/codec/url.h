/* Request targets (RFC 9112 section 3.2) and paths (RFC 3986), for matching only: what is forwarded
 * is always the bytes as received. */
#pragma once

#include "base/bytes.h"

/* An origin-form or absolute-form target in its parts; all borrowed. */
struct url_target {
    struct bytes scheme, authority; /* absolute-form only, else empty */
    struct bytes path;              /* "/..." as received, or "*" */
    struct bytes query;             /* without '?'; .at is NULL when there is none */
};
bool url_target_parse(struct bytes target, struct url_target *ret_target);

#define URL_SEGMENTS_MAX 128

/* A path decoded and with its dot segments removed. A segment's decoded bytes may hold '/' (from
 * %2F): it stays inside its segment. */
struct url_path {
    size_t count; /* segments; "/" is one empty segment, "/a/" is "a" and "" */
    bool has_encoded_slash;
    struct bytes
        segment[URL_SEGMENTS_MAX]; /* point into the memory that was handed in, or the path */
};

/* `memory` (at least path.len bytes) receives the decoded segments. False: %00, a malformed escape,
 * a path that climbs above its root (also when its %2F and %5C were decoded, and by %2e), more
 * segments than fit, or not beginning with '/' (and not "*"). */
bool url_path_normalise(struct bytes path, uint8_t *memory, struct url_path *ret_path);

/* Host or authority: splits "example.com:80", "[::1]:80" and checks each part's characters; port 0
 * when there is none. False: malformed, user information, or %-escapes, which some would decode
 * before they compare and others not. */
bool url_host_parse(struct bytes host, struct bytes *ret_name, uint16_t *ret_port);
