/* One request to the admin API as its door sees it: the names in its path, its query, its body.
 * Owned by one thread at a time: it travels to main and back, and is freed where it was made. */
#pragma once

#include "admin/query.h"

#include <jansson.h>

#define CALL_PARAMS_MAX  3
#define CALL_PARAM_BYTES 256

struct door;
struct admin_house;

struct call {
    const struct door *door;
    struct admin_house *house; /* on main, for doors that open there; else NULL */
    struct query query;
    size_t param_count;
    struct {
        struct bytes name; /* of the door's path, without its braces */
        char value[CALL_PARAM_BYTES];
    } param[CALL_PARAMS_MAX];
    json_t *body;    /* an object, for doors that take one; else NULL */
    unsigned status; /* of the answer */
    char target[];   /* what query's views point into */
};

/* Of a request target. NULL: no memory. */
struct call *call_new(struct bytes target);
struct call *call_free(struct call *call); /* accepts NULL, returns NULL */

/* Whether `query.path` is what `pattern` says ("/pools/{pool}/servers"): then the params are set.
 * A name in braces stands for one whole segment that is not empty, decoded; "%2F" is a slash in it.
 * A pattern that fits but for a segment that cannot be decoded (or is too long, or no UTF-8) does
 * not fit. */
bool call_matches(struct call *call, const char *pattern);

/* A name of the path, or else of the query; NULL: not given. */
const char *call_text(const struct call *call, const char *name);

/* Reads the body, which has to be a JSON object. False: it is not; ret_error says what is wrong
 * with it, and where. */
bool call_take_body(struct call *call, struct bytes text, char ret_error[256]);

/* What was cut, or came as it is, becomes UTF-8, as JSON wants it: '?' stands for what is none. */
void call_make_utf8(char *text);

/* The answer to what cannot be done: `call->status` is set, and the words are returned as
 * { error, what_to_do }. NULL: no memory. */
__attribute__((format(printf, 4, 5))) json_t *
call_refuse(struct call *call, unsigned status, const char *what_to_do, const char *format, ...);
