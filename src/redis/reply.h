/* What a Redis server answers (RESP2), read in pieces and bounded: in bytes, in elements, in depth.
 * Behind it is hiredis' reply parser. */
#pragma once

#include "base/bytes.h"

#define REDIS_ELEMENTS_MAX 1024 /* of one reply, all lists together */

struct redis_reply; /* a tree; freed whole */
enum redis_kind { REDIS_TEXT, REDIS_NUMBER, REDIS_LIST, REDIS_NIL, REDIS_ERROR };

enum redis_kind redis_reply_kind(const struct redis_reply *reply);
struct bytes redis_reply_text(const struct redis_reply *reply); /* of a text or error; else empty */
int64_t redis_reply_number(const struct redis_reply *reply);    /* of a number; else 0 */
size_t redis_reply_count(const struct redis_reply *reply);      /* of a list; else 0 */
const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t number);
struct redis_reply *redis_reply_free(struct redis_reply *reply); /* accepts NULL, returns NULL */

/* Whether it is an error of that code ("READONLY"), or a script's that failed for it. */
bool redis_reply_is_error(const struct redis_reply *reply, const char *code);

struct redis_reader;
/* `limit_bytes`: what one reply may take. 0 or -ENOMEM. */
int redis_reader_new(size_t limit_bytes, struct redis_reader **ret_reader);
struct redis_reader *
redis_reader_free(struct redis_reader *reader); /* accepts NULL, returns NULL */
int redis_reader_feed(struct redis_reader *reader, struct bytes more); /* 0 or -ENOMEM */
/* 1: *ret_reply is the next one; 0: more bytes please; -EBADMSG: that is no RESP2; -EMSGSIZE: it is
 * larger than allowed; -ENOMEM. After an error only redis_reader_free is allowed. */
int redis_reader_next(struct redis_reader *reader, struct redis_reply **ret_reply);
