/* Replies of a Redis server, in pieces. Whatever comes, what is made of it is within the limits;
 * in one piece or many, the same is said. */
#include "redis/reply.h"

#include "fuzz.h"

#define LIMIT 4096u

struct told {
    size_t replies, bytes, elements;
    int64_t numbers;
    int end;
};

static void look(const struct redis_reply *reply, struct told *told, unsigned depth)
{
    REQUIRE(depth < 10);
    told->elements++;
    told->bytes += redis_reply_text(reply).len;
    told->numbers += redis_reply_number(reply) & 0xffff;
    redis_reply_is_error(reply, "READONLY");
    for (size_t i = 0; i < redis_reply_count(reply); i++)
        look(redis_reply_at(reply, i), told, depth + 1);
}

static struct told read_all(struct bytes in, bool in_pieces)
{
    struct cutter cutter = cutter_of(in);
    struct redis_reader *reader = NULL;
    struct redis_reply *reply;
    struct told told = {0};

    REQUIRE(redis_reader_new(LIMIT, &reader) == 0);
    while (in.len && told.end >= 0) {
        size_t piece = in_pieces ? cutter_next(&cutter, in.len) : in.len;
        struct bytes part = exact(bytes_slice(in, 0, piece));
        REQUIRE(redis_reader_feed(reader, part) == 0);
        exact_free(part);
        in = bytes_from(in, piece);
        while ((told.end = redis_reader_next(reader, &reply)) > 0) {
            struct told one = {0};
            look(reply, &one, 0);
            REQUIRE(one.bytes <= LIMIT && one.elements <= 2 * REDIS_ELEMENTS_MAX);
            told.replies++;
            told.bytes += one.bytes;
            told.elements += one.elements;
            told.numbers += one.numbers;
            redis_reply_free(reply);
        }
    }
    redis_reader_free(reader);
    return told;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct told whole = read_all((struct bytes){at, len}, false);
    struct told pieces = read_all((struct bytes){at, len}, true);

    /* what is larger than allowed may be noticed a piece earlier */
    REQUIRE(len > LIMIT || (whole.replies == pieces.replies && whole.bytes == pieces.bytes &&
                            whole.elements == pieces.elements && whole.numbers == pieces.numbers));
    return 0;
}
