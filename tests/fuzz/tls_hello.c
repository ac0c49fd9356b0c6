/* A ClientHello is judged alike however it arrives and however its message is split over records.
 */
#include "codec/tls_hello.h"

#include "fuzz.h"

static uint8_t memory[TLS_HELLO_MAX_BYTES];

static bool is_alike(const struct tls_hello *a, const struct tls_hello *b)
{
    return bytes_equal(a->server_name, b->server_name) && bytes_equal(a->alpn, b->alpn) &&
           a->version == b->version;
}

static void is_judged_alike_in_pieces(struct bytes in, int used)
{
    struct cutter cutter = cutter_of(in);
    bool is_bad = false;

    for (size_t len = 0; len < in.len; len += cutter_next(&cutter, in.len - len)) {
        struct tls_hello hello;
        struct bytes prefix = exact(bytes_slice(in, 0, len));
        int got = tls_hello_parse(prefix, memory, &hello);
        exact_free(prefix);
        REQUIRE(used > 0 ? got == (len < (size_t)used ? 0 : used) : got <= 0);
        REQUIRE(used != 0 || got == 0);
        REQUIRE(!is_bad || got < 0);
        is_bad = got < 0;
    }
}

/* Puts the message into records of other lengths. Returns their bytes. */
static size_t split_again(struct bytes message, uint8_t *ret_records)
{
    struct cutter cutter = cutter_of(message);
    size_t len = 0;

    for (size_t at = 0, piece; at < message.len; at += piece) {
        piece = cutter_next(&cutter, message.len - at);
        memcpy(ret_records + len,
               (const uint8_t[]){22, 3, 1, (uint8_t)(piece >> 8), (uint8_t)piece}, 5);
        memcpy(ret_records + len + 5, message.at + at, piece);
        len += 5 + piece;
    }
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static uint8_t message[TLS_HELLO_MAX_BYTES], records[6 * TLS_HELLO_MAX_BYTES];
    struct bytes in = exact((struct bytes){at, len});
    struct tls_hello hello, again;

    int used = tls_hello_parse(in, message, &hello);
    REQUIRE(used <= (int)len);
    is_judged_alike_in_pieces(in, used);
    if (used > 0) {
        struct bytes there = {
            message, 4 + ((size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3])};
        REQUIRE(there.len <= sizeof message && is_inside(hello.server_name, there) &&
                is_inside(hello.alpn, there));
        REQUIRE(!hello.server_name.len || !memchr(hello.server_name.at, 0, hello.server_name.len));
        size_t records_len = split_again(there, records);
        REQUIRE(tls_hello_parse((struct bytes){records, records_len}, memory, &again) ==
                (int)records_len);
        REQUIRE(is_alike(&hello, &again));
    }
    exact_free(in);
    return 0;
}
