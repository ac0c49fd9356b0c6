/* What one request needs while it is under way, and the judgements over it: everything of tunnel.c
 * that does not wait. */
#pragma once

#include "access/access.h"
#include "access/subrequest.h"
#include "codec/http1_write.h"
#include "codec/ws_handshake.h"
#include "http/forwarded.h"
#include "http/read_head.h"
#include "http/transfer.h"
#include "proxy/recall.h"

#define NO_HOPS_LIMIT UINT32_MAX
#define DROPPED_MAX   (EDITS_MAX + ACCESS_COPY_MAX + 12) /* ours are seven */

struct exchange {
    struct buf head;      /* the request head: request_head's views point into it */
    struct buf request;   /* what came behind it: a body, early frames, or the next request */
    struct buf reply;     /* the answer head, and what came behind it */
    struct buf asking;    /* the head for the server, until its upload begins */
    struct buf out;       /* a head of ours on its way to the client */
    struct buf lines;     /* what we add to the head that is written next */
    struct buf made;      /* bytes of ours that views below point into: a target, a body */
    struct buf stripped;  /* the target without strip_prefix: `target` and `rest` point into it */
    uint8_t *path_memory; /* of path's decoded segments */
    const struct connection *whose; /* borrowed */
    struct http1_own own; /* ANSWERED_HERE, AUTH_DENIED: what is answered; else its extra lines */
    struct forwarded forwarded;
    char request_id[17];
    struct bytes target; /* for the server; .at NULL: as received */
    uint32_t hops_left;  /* Max-Forwards for the server; NO_HOPS_LIMIT: it is not said */
    struct read_head read;
    struct tls_accept accept;
    struct reach reach;
    struct recall recall;
    struct transfer upload, download;
    struct http1_body request_body;
    struct bytes host;        /* the request's, without port */
    struct url_target parsed; /* its target, as received */
    struct bytes rest;        /* the path that the server is asked */
    /* The claims of the request's token, for templates; claim NULL: none. */
    struct bytes (*claim)(const void *claims, struct bytes name);
    const void *claims;
    struct subrequest *auth; /* the question to the server of `auth`; NULL: none was asked */
    uint64_t began_usec;
    uint64_t asked_usec;             /* when the server had all of the request that was there */
    uint64_t silence_usec;           /* of the answer's body */
    uint64_t server_rests_usec;      /* how long the server keeps an idle connection, it says */
    const struct snapshot *snapshot; /* borrowed: the connection's */
    const struct route *route;       /* in it */
    uint32_t interim_count;
    bool is_judged;     /* its framing is sound: what comes behind it is a request */
    bool is_handshake;  /* for a WebSocket */
    bool is_https;      /* as the client sees it */
    bool is_idempotent; /* its method: asked twice, it does what it does once */
    bool keeps;         /* the client's connection, after this exchange */
    bool server_keeps;
    bool is_uploaded, upload_failed;
    bool has_begun_answer; /* the client may have seen a part of it */
    bool is_said;          /* our own answer is written */
    /* big, and not zeroed: */
    struct http1_head request_head, reply_head;
    struct recall_ear ear;
    struct url_path path;
    struct route_params params; /* when there is a route */
};

/* `snapshot` outlives it. NULL: no memory. */
struct exchange *exchange_new(struct proxy *proxy, const struct snapshot *snapshot);
/* Accepts NULL, returns NULL. */
struct exchange *exchange_free(struct proxy *proxy, struct exchange *h);
/* Keeps what is pipelined, forgets the rest. */
void exchange_begin_next(struct exchange *h, const struct snapshot *snapshot);

/* Puts the head's bytes aside, so that what comes behind may grow and go without moving them. */
int exchange_split(struct exchange *h, size_t head_len); /* 0 or -ENOMEM */

/* What the request is told and believed about the way it came. 0 or -ENOMEM. */
int exchange_look_back(struct exchange *h, struct connection *c);
/* DONE: h->route is set, and it is known what is asked for. */
enum reason exchange_judge(struct exchange *h);
/* DONE: a server is to be asked; ANSWERED_HERE: `own` is what the route says by itself. */
enum reason exchange_act(struct exchange *h);
/* What decides which server a request sticks to. */
void exchange_recall(struct exchange *h, struct connection *c);
enum reason exchange_write_request(struct exchange *h); /* the head for the server, to `asking` */
void exchange_begin_upload(struct exchange *h, struct stream *client, struct stream *server);

/* DONE: a 101 that completes the handshake; UPGRADE_REFUSED: to be forwarded as it is; else what is
 * wrong. */
enum reason exchange_judge_answer(const struct exchange *h);
enum reason exchange_write_switch(struct exchange *h);  /* the 101, to `out` */
enum reason exchange_write_interim(struct exchange *h); /* a 1xx, to `out`; takes it off `reply` */
enum reason exchange_begin_download(struct exchange *h, struct stream *client,
                                    struct stream *server, struct bytes date);
/* What the request says, for templates and keys. The texts live in `client`, too. */
struct facts exchange_facts(const struct exchange *h, char client[IP_TEXT_BYTES]);
void exchange_fields(const struct exchange *h, struct log_fields *fields);

/* Whether the server can be asked again, or another one, without anything being done twice. */
bool exchange_may_ask_again(const struct exchange *h);
/* While the answer comes: what the rest of the request's body waits for. Its failure is no failure
 * of the answer. */
enum transfer_state exchange_upload_more(struct exchange *h, uint8_t *scratch);
/* Why an answer ends that cannot be forwarded; what is wrong before the client has seen any of it
 * can still be said. */
enum reason exchange_cut(const struct exchange *h, enum transfer_state state);
