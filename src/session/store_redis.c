/* Entries in a Redis server, for all nodes that use it: a hash per entry, under a prefix of ours,
 * with the fields s (server), v (version of the state), t (its type) and d (the state itself).
 *
 * Every question is one script, so it is one step for all who ask, and may be sent twice: whoever
 * puts a state has made up its version before, and a version that is there already is a success.
 * Scripts go by their digest; a server that does not know it yet is told the text. Reads refresh
 * the lifetime where the server allows it, and never fail for that: a replica, or a full server,
 * can still be read. */
#include "session/store_priv.h"

#include "base/check.h"
#include "crypto/crypto.h"
#include "redis/command.h"
#include "redis/redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PREFIX          "turnout:session:"
#define WORKERS_MAX     256
#define REPLY_MAX_BYTES (STORE_STATE_MAX + 4096u)
#define CONNECT_USEC    500000u
#define STALL_USEC      1000000u
#define IDLE_USEC       60000000u
#define WORDS_MAX       10 /* of a command */

#define ANSWER_CONFLICT 0
#define ANSWER_OK       1
#define ANSWER_ABSENT   2

/* KEYS[1]: the entry; ARGV[1]: its lifetime in milliseconds; ARGV[2] and [3] of those that change
 * something under a condition: which (a, v, e, n: always, if that version, if any, if none) and the
 * version. */
#define REFRESH "redis.pcall('PEXPIRE',KEYS[1],ARGV[1]) "
#define CONDITION                                                                                  \
    "if (ARGV[2]=='v' and (v=='' or v~=ARGV[3])) or (ARGV[2]=='e' and v=='') or "                  \
    "(ARGV[2]=='n' and v~='') then return 0 end "

static const char *const scripts[] = {
    [STORE_FIND] = "local e=redis.call('HMGET',KEYS[1],'s','v') "
                   "if e[1] or e[2] then " REFRESH "end return e",
    [STORE_GET] = "local e=redis.call('HMGET',KEYS[1],'s','v','t','d') "
                  "if e[1] or e[2] then " REFRESH "end return e",
    [STORE_PUT_SERVER] = "redis.call('HSET',KEYS[1],'s',ARGV[2]) "
                         "redis.call('PEXPIRE',KEYS[1],ARGV[1]) return 1",
    [STORE_PUT_STATE] = "local v=redis.call('HGET',KEYS[1],'v') or '' "
                        "if v~=ARGV[4] then " CONDITION
                        "redis.call('HSET',KEYS[1],'v',ARGV[4],'t',ARGV[5],'d',ARGV[6]) end "
                        "redis.call('PEXPIRE',KEYS[1],ARGV[1]) return 1",
    [STORE_DELETE] = "local v=redis.call('HGET',KEYS[1],'v') or '' " CONDITION
                     "if redis.call('DEL',KEYS[1])==1 then return 1 end return 2",
    [STORE_TOUCH] = "if redis.call('PEXPIRE',KEYS[1],ARGV[1])==1 then return 1 end return 2",
};

struct redis_body {
    struct store_body body; /* first */
    struct redis_target target;
    char *url;
    struct redis *redis[WORKERS_MAX]; /* each touched by its own worker alone; NULL: none now */
    char digest[ARRAY_LEN(scripts)][2 * SHA1_LEN + 1];
};

struct request {
    struct redis_ask ask;
    bool says_script; /* its text, not its digest */
};

/* What a server may refuse, in our words. It has answered, so it is well. */
static const struct {
    const char *code, *words;
} refusals[] = {
    {"OOM", "it is full (OOM: see maxmemory)"},
    {"NOREPLICAS", "too few of its replicas are in touch (NOREPLICAS)"},
    {"MISCONF", "it cannot save and takes no writes (MISCONF)"},
    {"NOPERM", "its user may not run scripts or not touch " PREFIX "* (NOPERM)"},
    {"NOAUTH", "it wants a password (NOAUTH)"},
    {"WRONGTYPE", "what stands under the key is no entry (WRONGTYPE)"},
    {"MOVED", "it is a Redis Cluster, which is not spoken (MOVED)"},
    {"ASK", "it is a Redis Cluster, which is not spoken (ASK)"},
};

static struct redis_body *body_of(const struct store_ask *ask)
{
    return (struct redis_body *)ask->store->body;
}

/* --- connections ---------------------------------------------------------------------------------
 */

static void on_leave(void *owner, unsigned worker)
{
    struct redis_body *body = owner;

    body->redis[worker] = NULL;
    store_body_unref(&body->body);
}

/* This worker's; NULL: no memory. */
static struct redis *redis_of(struct redis_body *body, struct runner *runner)
{
    const struct redis_opts opts = {
        .target = &body->target,
        .connect_usec = CONNECT_USEC,
        .stall_usec = STALL_USEC,
        .idle_usec = IDLE_USEC,
        .reply_max_bytes = REPLY_MAX_BYTES,
        .on_leave = on_leave,
        .owner = body,
    };

    CHECK(runner->number < WORKERS_MAX);
    if (!body->redis[runner->number]) {
        body->redis[runner->number] = redis_start(&opts, runner);
        if (body->redis[runner->number])
            store_body_ref(&body->body);
    }
    return body->redis[runner->number];
}

/* --- asking --------------------------------------------------------------------------------------
 */

static size_t add_condition(const struct store_question *question, struct bytes *words)
{
    static const char *const letters[] = {[STORE_ALWAYS] = "a",
                                          [STORE_IF_VERSION] = "v",
                                          [STORE_IF_ANY] = "e",
                                          [STORE_IF_NONE] = "n"};

    words[0] = bytes_of(letters[question->condition]);
    words[1] = question->version;
    return 2;
}

/* All that stands behind the lifetime. How many words. */
static size_t add_arguments(const struct store_ask *ask, struct bytes *words)
{
    const struct store_question *question = &ask->question;
    size_t count = 0;

    switch (question->op) {
    case STORE_PUT_SERVER:
        words[count++] = question->server;
        break;
    case STORE_PUT_STATE:
        count = add_condition(question, words);
        words[count++] = bytes_of(ask->entry.version);
        words[count++] = question->type;
        words[count++] = question->state;
        break;
    case STORE_DELETE:
        count = add_condition(question, words);
        break;
    case STORE_FIND:
    case STORE_GET:
    case STORE_TOUCH:
        break;
    }
    return count;
}

static int write_command(const struct store_ask *ask, struct request *request)
{
    const struct store_question *question = &ask->question;
    struct bytes words[WORDS_MAX], prefix = bytes_of(PREFIX);
    uint8_t key[sizeof PREFIX + STORE_KEY_MAX];
    char ttl[24];

    memcpy(key, prefix.at, prefix.len);
    memcpy(key + prefix.len, question->key.at, question->key.len);
    snprintf(ttl, sizeof ttl, "%llu", (unsigned long long)(ask->store->ttl_usec / 1000u));
    words[0] = bytes_of(request->says_script ? "EVAL" : "EVALSHA");
    words[1] =
        bytes_of(request->says_script ? scripts[question->op] : body_of(ask)->digest[question->op]);
    words[2] = bytes_of("1");
    words[3] = (struct bytes){key, prefix.len + question->key.len};
    words[4] = bytes_of(ttl);
    size_t count = 5 + add_arguments(ask, words + 5);
    CHECK(count <= WORDS_MAX);
    buf_init(&request->ask.command, REDIS_COMMAND_MAX_BYTES);
    return redis_command(&request->ask.command, words, count);
}

static int redis_begin(struct store_ask *ask)
{
    struct redis *redis = redis_of(body_of(ask), ask->flow.runner);
    struct request *request = calloc(1, sizeof *request);

    if (!redis || !request || write_command(ask, request)) {
        if (request)
            buf_done(&request->ask.command);
        free(request);
        return -ENOMEM;
    }
    ask->request = request;
    request->ask.flow = &ask->flow;
    redis_ask(redis, &request->ask);
    return 0;
}

/* --- answers -------------------------------------------------------------------------------------
 */

/* To be shown in a header field, so nothing that could end one. False: no such text. */
static bool copy_text(struct bytes from, char *to, size_t size)
{
    if (from.len >= size)
        return false;
    for (size_t i = 0; i < from.len; i++)
        if (from.at[i] < ' ' || from.at[i] > '~')
            return false;
    if (from.len)
        memcpy(to, from.at, from.len);
    to[from.len] = '\0';
    return true;
}

static bool is_there(const struct redis_reply *reply, size_t number)
{
    return redis_reply_kind(redis_reply_at(reply, number)) == REDIS_TEXT;
}

static struct bytes text_at(const struct redis_reply *reply, size_t number)
{
    return redis_reply_text(redis_reply_at(reply, number));
}

static int read_state(struct store_ask *ask, const struct redis_reply *reply)
{
    struct store_entry *entry = &ask->entry;

    if (!copy_text(text_at(reply, 2), entry->type, sizeof entry->type) ||
        text_at(reply, 3).len > STORE_STATE_MAX)
        return -EBADMSG;
    return msg_new(text_at(reply, 3), &entry->state);
}

/* Another's hand may have written it: what does not fit is refused. */
static void read_entry(struct store_ask *ask, const struct redis_reply *reply)
{
    size_t wanted = ask->question.op == STORE_GET ? 4 : 2;
    struct store_entry *entry = &ask->entry;

    int error = redis_reply_count(reply) == wanted &&
                        copy_text(text_at(reply, 0), entry->server, sizeof entry->server) &&
                        copy_text(text_at(reply, 1), entry->version, sizeof entry->version)
                    ? 0
                    : -EBADMSG;
    if (!error && wanted == 4 && entry->version[0])
        error = read_state(ask, reply);
    if (error)
        store_refuse(ask, error == -ENOMEM ? "out of memory" : "the entry there is none of ours",
                     false);
    else
        store_decide(ask, is_there(reply, 0) || is_there(reply, 1) ? STORE_OK : STORE_ABSENT);
}

static void read_number(struct store_ask *ask, const struct redis_reply *reply)
{
    static const enum store_outcome outcomes[] = {
        [ANSWER_CONFLICT] = STORE_CONFLICT, [ANSWER_OK] = STORE_OK, [ANSWER_ABSENT] = STORE_ABSENT};
    int64_t number = redis_reply_number(reply);

    if (redis_reply_kind(reply) != REDIS_NUMBER || number < 0 || number > ANSWER_ABSENT)
        store_refuse(ask, "it answers what no script of ours says", false);
    else
        store_decide(ask, outcomes[number]);
}

static void read_error(struct store_ask *ask, const struct redis_reply *reply)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        if (!redis_reply_is_error(reply, refusals[i].code))
            continue;
        store_refuse(ask, refusals[i].words, false);
        return;
    }
    store_refuse(ask, "it answers with an error", false);
}

/* The digest is not known there, or not any more (SCRIPT FLUSH, a restart): once more with all of
 * it. */
static void say_script(struct store_ask *ask, struct request *request)
{
    struct redis *redis = redis_of(body_of(ask), ask->flow.runner);

    request->says_script = true;
    buf_done(&request->ask.command);
    if (!redis || write_command(ask, request))
        store_refuse(ask, "out of memory", false);
    else
        redis_ask(redis, &request->ask);
}

static void redis_hear(struct store_ask *ask)
{
    struct request *request = ask->request;
    const struct redis_reply *reply = request->ask.reply;

    if (!request->ask.is_over)
        return;
    if (!reply)
        store_refuse(ask, request->ask.trouble, true);
    else if (redis_reply_is_error(reply, "NOSCRIPT") && !request->says_script)
        say_script(ask, request);
    else if (redis_reply_kind(reply) == REDIS_ERROR)
        read_error(ask, reply);
    else if (ask->question.op == STORE_FIND || ask->question.op == STORE_GET)
        read_entry(ask, reply);
    else
        read_number(ask, reply);
}

static const char *redis_let_go(struct store_ask *ask)
{
    struct request *request = ask->request;
    const char *trouble = request ? redis_ask_leave(&request->ask) : NULL;

    free(request);
    ask->request = NULL;
    return trouble;
}

/* --- opening and closing -------------------------------------------------------------------------
 */

static void redis_close(struct store_body *body)
{
    struct redis_body *redis = (struct redis_body *)body;

    explicit_bzero(&redis->target, sizeof redis->target);
    if (redis->url)
        explicit_bzero(redis->url, strlen(redis->url));
    free(redis->url);
    free(redis);
}

static int make_digests(struct redis_body *body)
{
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        uint8_t digest[SHA1_LEN];
        int error = crypto_sha1(bytes_of(scripts[i]), digest);
        if (error)
            return error;
        for (size_t k = 0; k < sizeof digest; k++)
            snprintf(body->digest[i] + 2 * k, 3, "%02x", digest[k]);
    }
    return 0;
}

static int redis_open(const struct store_settings *settings, struct store_body **ret_body,
                      char ret_words[256])
{
    struct redis_body *body = calloc(1, sizeof *body);

    if (!body)
        return -ENOMEM;
    int error = redis_target_parse(settings->redis, &body->target, ret_words);
    body->url = strdup(settings->redis);
    if (!error)
        error = body->url ? make_digests(body) : -ENOMEM;
    if (error)
        redis_close(&body->body);
    else
        *ret_body = &body->body;
    return error;
}

static bool redis_fits(const struct store_body *body, const struct store_settings *settings)
{
    return strcmp(((const struct redis_body *)body)->url, settings->redis) == 0;
}

const struct store_backend store_backend_redis = {
    .name = "redis",
    .open = redis_open,
    .fits = redis_fits,
    .close = redis_close,
    .ask = redis_begin,
    .hear = redis_hear,
    .leave = redis_let_go,
};
