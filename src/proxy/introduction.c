/* The header's own memory is large and goes as soon as it is read; what is kept is as small as what
 * was said. Texts of the proxy in front are passed on to servers where we know no better: it is
 * trusted, or it would not have been heard. */
#include "proxy/introduction.h"

#include <stdio.h>
#include <stdlib.h>

struct introduction *introduction_free(struct introduction *introduction)
{
    if (!introduction)
        return NULL;
    free(introduction->preface);
    free(introduction);
    return NULL;
}

/* --- to us
 * ----------------------------------------------------------------------------------------- */

static struct introduction *begin(struct connection *c, bool is_optional)
{
    struct introduction *introduction = calloc(1, sizeof *introduction);
    struct preface *preface = malloc(sizeof *preface);

    if (!introduction || !preface) {
        free(introduction);
        free(preface);
        return NULL;
    }
    memset(preface, 0, offsetof(struct preface, memory));
    preface->stream = &c->client;
    preface->limit_usec = c->snapshot->deadlines.request_head;
    preface->is_optional = is_optional;
    introduction->preface = preface;
    introduction->through = c->peer;
    preface_start(preface, &c->flow);
    return introduction;
}

static void keep(struct bytes *text, uint8_t *memory, size_t *used)
{
    if (text->len)
        memcpy(memory + *used, text->at, text->len);
    text->at = memory + *used;
    *used += text->len;
}

/* Replaces what was needed for reading by what is worth keeping. False: no memory. */
static bool settle(struct connection *c)
{
    const struct introduction *heard = c->introduction;
    struct proxy_header header = heard->preface->header;
    size_t used = 0;

    if (header.ssl.len > PROXY_SSL_MAX)
        header.ssl.len = 0;
    size_t len = header.alpn.len + header.authority.len + header.unique_id.len + header.ssl.len;
    struct introduction *kept = calloc(1, sizeof *kept + len);
    if (!kept)
        return false;
    keep(&header.alpn, kept->texts, &used);
    keep(&header.authority, kept->texts, &used);
    keep(&header.unique_id, kept->texts, &used);
    keep(&header.ssl, kept->texts, &used);
    kept->header = header;
    kept->through = heard->through;
    introduction_free(TAKE(c->introduction));
    c->introduction = kept;
    if (!header.has_addresses)
        return true;
    c->peer = address_of_ip(&header.source, header.source_port);
    c->port = header.destination_port;
    return true;
}

enum next introduction_hear(struct connection *c)
{
    enum proxy_in wanted = c->snapshot->gates[c->gate].settings->proxy_in;

    if (wanted == PROXY_IN_NO)
        return NEXT;
    if (!c->introduction) {
        struct ip ip = address_ip(&c->peer);
        if (!snapshot_trusts(c->snapshot, &ip))
            return wanted == PROXY_IN_OPTIONAL ? NEXT : flow_fail(&c->flow, REASON_PROXY_UNTRUSTED);
        c->introduction = begin(c, wanted == PROXY_IN_OPTIONAL);
        if (!c->introduction)
            return flow_fail(&c->flow, REASON_NO_MEMORY);
    }

    struct flow *child = &c->introduction->preface->flow;
    if (!flow_is_over(child))
        return flow_wait_child(&c->flow, child);
    if (child->reason != REASON_DONE)
        return flow_fail(&c->flow, child->reason);
    flow_adopt(&c->flow, &c->client.source, REASON_CLIENT_LEFT);
    if (!c->introduction->preface->has_header) {
        c->introduction = introduction_free(c->introduction);
        return NEXT;
    }
    return settle(c) ? NEXT : flow_fail(&c->flow, REASON_NO_MEMORY);
}

bool introduction_is_tls(const struct connection *c)
{
    return c->client.tls || (c->introduction && proxy_header_is_tls(&c->introduction->header));
}

/* --- by us
 * ----------------------------------------------------------------------------------------- */

/* The client's two ends, as far as they are known and are addresses. */
static void name_ends(const struct connection *c, struct proxy_header *header)
{
    const struct introduction *introduction = c->introduction;
    struct address local, peer;

    header->source = address_ip(&c->peer);
    header->source_port = address_port(&c->peer);
    header->has_addresses = header->source.family != IP_UNIX;
    if (introduction && introduction->header.has_addresses) {
        header->destination = introduction->header.destination;
        header->destination_port = introduction->header.destination_port;
        return;
    }
    if (!header->has_addresses || tcp_names(c->client.source.fd, &local, &peer)) {
        header->has_addresses = false;
        return;
    }
    header->destination = address_ip(&local);
    header->destination_port = address_port(&local);
}

static struct bytes first_of(struct bytes one, struct bytes other)
{
    return one.len ? one : other;
}

size_t introduction_write(const struct connection *c, enum proxy_out version,
                          struct bytes server_name, uint8_t ret_at[PROXY_OUT_MAX_BYTES])
{
    static const struct proxy_header nothing;
    const struct proxy_header *said = c->introduction ? &c->introduction->header : &nothing;
    struct proxy_header header = {.version = version == PROXY_OUT_V1 ? 1 : 2};
    uint8_t ssl[PROXY_SSL_MAX];
    char id[17];

    snprintf(id, sizeof id, "%016llx", (unsigned long long)c->request_id);
    name_ends(c, &header);
    header.unique_id = first_of(said->unique_id, bytes_of(id));
    header.has_checksum = version == PROXY_OUT_V2_CRC32C;
    if (c->client.tls) {
        header.alpn = stream_tls_alpn(&c->client);
        header.authority = bytes_of(stream_tls_name(&c->client));
        header.ssl.at = ssl;
        header.ssl.len = proxy_ssl_write(bytes_of(stream_tls_version(&c->client)),
                                         bytes_of(stream_tls_cipher(&c->client)), ssl);
    } else {
        header.alpn = said->alpn;
        header.authority = first_of(server_name, said->authority);
        header.ssl = said->ssl;
    }
    return proxy_header_write(&header, ret_at);
}
