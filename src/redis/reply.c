/* hiredis builds the tree; what it builds passes by here, where it is counted. So a peer that
 * promises a large array or string gets neither memory nor time for it: an array is refused when it
 * is announced, and a string when more of it has come than is allowed. */
#include "redis/reply.h"

#include "base/check.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>

struct redis_reader {
    redisReader *hiredis;
    redisReplyObjectFunctions making;      /* theirs, but for arrays and strings */
    const redisReplyObjectFunctions *made; /* theirs */
    size_t limit_bytes, bytes, elements;   /* of the present reply */
    bool is_too_large;
};

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

static const redisReply *theirs(const struct redis_reply *reply)
{
    return (const redisReply *)(const void *)reply;
}

enum redis_kind redis_reply_kind(const struct redis_reply *reply)
{
    switch (theirs(reply)->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
        return REDIS_TEXT;
    case REDIS_REPLY_INTEGER:
        return REDIS_NUMBER;
    case REDIS_REPLY_ARRAY:
        return REDIS_LIST;
    case REDIS_REPLY_ERROR:
        return REDIS_ERROR;
    default:
        return REDIS_NIL;
    }
}

struct bytes redis_reply_text(const struct redis_reply *reply)
{
    const redisReply *r = theirs(reply);
    bool is_text = r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS ||
                   r->type == REDIS_REPLY_ERROR;

    return is_text ? (struct bytes){(const uint8_t *)r->str, (size_t)r->len} : (struct bytes){0};
}

int64_t redis_reply_number(const struct redis_reply *reply)
{
    return theirs(reply)->type == REDIS_REPLY_INTEGER ? theirs(reply)->integer : 0;
}

size_t redis_reply_count(const struct redis_reply *reply)
{
    return theirs(reply)->type == REDIS_REPLY_ARRAY ? theirs(reply)->elements : 0;
}

const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t number)
{
    CHECK(number < redis_reply_count(reply));
    return (const struct redis_reply *)(const void *)theirs(reply)->element[number];
}

struct redis_reply *redis_reply_free(struct redis_reply *reply)
{
    if (reply)
        freeReplyObject(reply);
    return NULL;
}

/* Before version 7 an error in a script is wrapped: "ERR Error running script (...): -READONLY". */
bool redis_reply_is_error(const struct redis_reply *reply, const char *code)
{
    const struct bytes wrapping = bytes_of("ERR Error running script"), dash = bytes_of(": -");
    struct bytes text = redis_reply_text(reply), wanted = bytes_of(code);

    if (redis_reply_kind(reply) != REDIS_ERROR)
        return false;
    if (bytes_equal(bytes_slice(text, 0, wrapping.len), wrapping)) {
        size_t at = bytes_find(text, dash, 0);
        text = bytes_from(text, at < text.len ? at + dash.len : 0);
    }
    return bytes_equal(bytes_slice(text, 0, wanted.len), wanted) &&
           (text.len == wanted.len || text.at[wanted.len] == ' ');
}

/* --- reading -------------------------------------------------------------------------------------
 */

static bool is_allowed(struct redis_reader *reader, size_t bytes, size_t elements)
{
    reader->bytes += bytes;
    reader->elements += elements;
    if (reader->bytes <= reader->limit_bytes && reader->elements <= REDIS_ELEMENTS_MAX)
        return true;
    reader->is_too_large = true;
    return false;
}

static void *make_array(const redisReadTask *task, element_count count)
{
    struct redis_reader *reader = task->privdata;

    return is_allowed(reader, 0, 1 + (size_t)count) ? reader->made->createArray(task, count) : NULL;
}

static void *make_string(const redisReadTask *task, char *at, size_t len)
{
    struct redis_reader *reader = task->privdata;

    return is_allowed(reader, len, 1) ? reader->made->createString(task, at, len) : NULL;
}

int redis_reader_new(size_t limit_bytes, struct redis_reader **ret_reader)
{
    struct redis_reader *reader = calloc(1, sizeof *reader);

    if (reader)
        reader->hiredis = redisReaderCreate();
    if (!reader || !reader->hiredis) {
        free(reader);
        return -ENOMEM;
    }
    reader->limit_bytes = limit_bytes;
    reader->made = reader->hiredis->fn;
    reader->making = *reader->made;
    reader->making.createArray = make_array;
    reader->making.createString = make_string;
    reader->hiredis->fn = &reader->making;
    reader->hiredis->privdata = reader;
    *ret_reader = reader;
    return 0;
}

struct redis_reader *redis_reader_free(struct redis_reader *reader)
{
    if (!reader)
        return NULL;
    redisReaderFree(reader->hiredis);
    free(reader);
    return NULL;
}

int redis_reader_feed(struct redis_reader *reader, struct bytes more)
{
    if (!more.len)
        return 0;
    return redisReaderFeed(reader->hiredis, (const char *)more.at, more.len) == REDIS_OK ? 0
                                                                                         : -ENOMEM;
}

int redis_reader_next(struct redis_reader *reader, struct redis_reply **ret_reply)
{
    redisReader *hiredis = reader->hiredis;
    void *reply = NULL;

    if (redisReaderGetReply(hiredis, &reply) != REDIS_OK)
        return reader->is_too_large            ? -EMSGSIZE
               : hiredis->err == REDIS_ERR_OOM ? -ENOMEM
                                               : -EBADMSG;
    if (reply) {
        reader->bytes = reader->elements = 0;
        *ret_reply = reply;
        return 1;
    }
    return hiredis->len - hiredis->pos > reader->limit_bytes ? -EMSGSIZE : 0;
}
