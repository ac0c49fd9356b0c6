/* A PROXY header is judged alike however it arrives, and what is written of what was read reads the
 * same. */
#include "codec/proxy_protocol.h"

#include "fuzz.h"

static void is_judged_alike_in_pieces(struct bytes in, int used)
{
    struct cutter cutter = cutter_of(in);
    bool is_bad = false;

    for (size_t len = 0; len < in.len; len += cutter_next(&cutter, in.len - len)) {
        struct proxy_header header;
        enum reason why;
        struct bytes prefix = exact(bytes_slice(in, 0, len));
        int got = proxy_header_parse(prefix, &header, &why);
        exact_free(prefix);
        REQUIRE(used > 0 ? got == (len < (size_t)used ? 0 : used) : got <= 0);
        REQUIRE(used != 0 || got == 0);
        REQUIRE(!is_bad || got < 0);
        is_bad = got < 0;
    }
}

static void reads_back(const struct proxy_header *header)
{
    uint8_t out[PROXY_OUT_MAX_BYTES];
    struct proxy_header again;
    enum reason why;
    size_t len = proxy_header_write(header, out);
    bool is_ip = header->has_addresses && header->source.family != IP_UNIX;

    REQUIRE(len <= sizeof out);
    REQUIRE(proxy_header_parse((struct bytes){out, len}, &again, &why) == (int)len);
    REQUIRE(again.version == header->version && again.has_addresses == is_ip);
    if (is_ip)
        REQUIRE(ip_equal(&again.source, &header->source) &&
                ip_equal(&again.destination, &header->destination) &&
                again.source_port == header->source_port &&
                again.destination_port == header->destination_port);
    REQUIRE(bytes_equal(again.alpn, header->alpn) &&
            bytes_equal(again.authority, header->authority) &&
            bytes_equal(again.unique_id, header->unique_id));
    REQUIRE(again.ssl.len == (header->ssl.len <= PROXY_SSL_MAX ? header->ssl.len : 0));
    REQUIRE(again.has_checksum == header->has_checksum);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes in = exact((struct bytes){at, len});
    struct proxy_header header;
    enum reason why = REASON_DONE;
    int used = proxy_header_parse(in, &header, &why);

    REQUIRE(used <= (int)len && used <= (int)PROXY_HEADER_MAX_BYTES);
    REQUIRE(used >= 0 || why == REASON_PROXY_MISSING || why == REASON_PROXY_MALFORMED);
    is_judged_alike_in_pieces(in, used);
    if (used > 0) {
        struct bytes whole = bytes_slice(in, 0, (size_t)used);
        REQUIRE(is_inside(header.alpn, whole) && is_inside(header.authority, whole) &&
                is_inside(header.unique_id, whole) && is_inside(header.ssl, whole));
        REQUIRE(!header.has_addresses || !header.is_local);
        reads_back(&header);
    }
    exact_free(in);
    return 0;
}
