/* Between the files of the admin listener: admin.c is a client's flow, doors.c finds the door that
 * a request asks for, and the doors' own files open them. */
#pragma once

#include "admin/admin.h"
#include "admin/call.h"
#include "admin/events.h"
#include "admin/inquiry.h"
#include "http/read_head.h"

#include <jansson.h>

#define ADMIN_BODY_MAX_BYTES 65536u
#define ADMIN_WRITE_USEC     30000000u
#define REFUSAL_BYTES        2048

struct admin_client;

/* What is answered once the asked threads have answered, or have had their time. NULL: no memory.
 */
typedef json_t *gathered_fn(struct admin_client *client, unsigned *ret_status);

struct admin {
    struct worker worker; /* first */
    struct admin_means means;
    struct listener listener;
    struct listener_sink sink;
    unsigned clients;
};

struct admin_client {
    struct flow flow;
    struct admin *admin;
    struct stream stream;
    struct buf in, out;
    struct read_head read;
    struct http1_head head;
    struct http1_body body;
    struct buf body_text;
    struct call *call; /* from its door until its answer, or until it travels with the inquiry */
    struct inquiry *inquiry;
    gathered_fn *gathered;
    uint64_t patience_usec; /* with the inquiry */
    char allow[64];         /* the methods of what was asked for by another; else empty */
    bool keeps;
    bool streams;
    struct events events;
    uint64_t written_usec; /* when the stream's client last took something, or had all */
};

/* A door answers at once: */
enum next admin_answer_text(struct admin_client *c, unsigned status, const char *type,
                            const char *body);
enum next admin_answer_json(struct admin_client *c, unsigned status, json_t *take_json);
enum next admin_refuse(struct admin_client *c, unsigned status, const char *error,
                       const char *what_to_do);
/* or asks other threads first: */
enum next admin_ask(struct admin_client *c, struct inquiry *take_inquiry, gathered_fn *gathered);
/* or has put the head of a stream of live events into c->out: */
enum next admin_stream(struct admin_client *c);

json_t *admin_error(const char *error, const char *what_to_do);
/* Of the only thread that was asked. *ret_status is 200 or the call's, or 503 when it has not
 * answered in time: it is busy, or it hangs; this thread goes on. NULL: no memory. */
json_t *admin_take_only(struct admin_client *c, unsigned *ret_status);

/* Why no door opens. */
struct refusal {
    unsigned status;
    char error[128], what_to_do[REFUSAL_BYTES];
};
/* Which door c->head asks for: c->call has it, and c->body how its body is framed. */
bool doors_find(struct admin_client *c, struct refusal *ret_refusal);
/* Writes what is new. False: the client is gone, or takes nothing. */
bool live_go_on(struct admin_client *c);
