/* Entries in this process's memory, for all its workers: one node alone, and gone with it.
 *
 * A hash table in shards, each with a lock that is held while pointers are exchanged: whatever is
 * allocated, copied or freed, is so before or after. States are counted messages, so one that is
 * read is not copied. Within a shard entries stand in the order of their last use; a full one
 * forgets those that nobody asked for longest, and the expired ones, which stand first too. */
#include "session/store_priv.h"

#include "base/check.h"
#include "loop/lock.h"
#include "sys/sys.h"

#include <errno.h>
#include <stdlib.h>

#define SHARDS_MAX        64
#define SHARD_ENTRIES     1024 /* worth a lock of its own */
#define SHARD_BUCKETS     256  /* at least */
#define FORGOTTEN_AT_ONCE 4    /* expired ones, beside each that comes */

struct slot {
    struct slot *next; /* in its bucket */
    struct list age;   /* in shard.oldest */
    uint64_t hash, due_usec;
    struct msg *server, *type, *state; /* NULL: none */
    char version[STORE_VERSION_LEN + 1];
    uint16_t key_len;
    uint8_t key[];
};

struct shard {
    struct lock lock;
    struct slot **bucket;
    struct list oldest;
    uint64_t count;
};

struct memory {
    struct store_body body; /* first */
    uint64_t seed[2];       /* unknown to clients, whose cookies are keys */
    size_t shards;          /* one for a small store, so that its limit is exact */
    size_t buckets;         /* of a shard; a power of two */
    _Atomic uint64_t count;
    struct shard shard[SHARDS_MAX];
};

static struct memory *memory_of(const struct store_ask *ask)
{
    return (struct memory *)ask->store->body;
}

/* --- hashing -------------------------------------------------------------------------------------
 */

static uint64_t mixed(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const struct memory *memory, struct bytes key)
{
    uint64_t hash = memory->seed[0] ^ key.len;

    for (size_t at = 0; at < key.len; at += 8) {
        struct bytes part = bytes_slice(key, at, at + 8);
        uint64_t word = 0;
        memcpy(&word, part.at, part.len);
        hash = mixed(hash ^ word, memory->seed[1] ^ 0x9e3779b97f4a7c15u);
    }
    return mixed(hash, memory->seed[0] | 1);
}

static struct shard *shard_of(struct memory *memory, uint64_t hash)
{
    return &memory->shard[hash % memory->shards];
}

static struct slot **bucket_of(const struct memory *memory, const struct shard *shard,
                               uint64_t hash)
{
    return &shard->bucket[hash / memory->shards & (memory->buckets - 1)];
}

/* --- slots: the lock is held ---------------------------------------------------------------------
 */

static struct slot **find(struct memory *memory, struct shard *shard, uint64_t hash,
                          struct bytes key)
{
    struct slot **at = bucket_of(memory, shard, hash);

    while (*at &&
           ((*at)->hash != hash || !bytes_equal((struct bytes){(*at)->key, (*at)->key_len}, key)))
        at = &(*at)->next;
    return at;
}

/* Takes it out, to be freed later. */
static void take_out(struct memory *memory, struct shard *shard, struct slot **at,
                     struct list *gone)
{
    struct slot *slot = *at;

    *at = slot->next;
    list_remove(&slot->age);
    list_add_last(gone, &slot->age);
    shard->count--;
    atomic_fetch_sub_explicit(&memory->count, 1, memory_order_relaxed);
}

static void put_in(struct memory *memory, struct shard *shard, struct slot *slot)
{
    struct slot **bucket = bucket_of(memory, shard, slot->hash);

    slot->next = *bucket;
    *bucket = slot;
    list_add_last(&shard->oldest, &slot->age);
    shard->count++;
    atomic_fetch_add_explicit(&memory->count, 1, memory_order_relaxed);
}

static struct slot *oldest_of(struct shard *shard)
{
    return list_is_empty(&shard->oldest) ? NULL
                                         : container_of(shard->oldest.next, struct slot, age);
}

static void forget_oldest(struct memory *memory, struct shard *shard, struct list *gone)
{
    struct slot *slot = oldest_of(shard), **at = bucket_of(memory, shard, slot->hash);

    while (*at != slot)
        at = &(*at)->next;
    take_out(memory, shard, at, gone);
}

/* Room for one more. */
static void make_room(struct memory *memory, struct shard *shard, uint64_t limit, uint64_t now,
                      struct list *gone)
{
    for (unsigned i = 0; i < FORGOTTEN_AT_ONCE; i++)
        if (oldest_of(shard) && oldest_of(shard)->due_usec <= now)
            forget_oldest(memory, shard, gone);
    while (shard->count && shard->count >= limit)
        forget_oldest(memory, shard, gone);
}

static void use(struct shard *shard, struct slot *slot, uint64_t due_usec)
{
    slot->due_usec = due_usec;
    list_remove(&slot->age);
    list_add_last(&shard->oldest, &slot->age);
}

/* The entry of that key; NULL: there is none, or none any more. */
static struct slot *find_live(struct memory *memory, struct shard *shard, uint64_t hash,
                              struct bytes key, uint64_t now, struct list *gone)
{
    struct slot **at = find(memory, shard, hash, key);

    if (*at && (*at)->due_usec <= now) {
        take_out(memory, shard, at, gone);
        return NULL;
    }
    return *at;
}

/* --- what is done before and after ---------------------------------------------------------------
 */

static struct slot *slot_free(struct slot *slot)
{
    if (!slot)
        return NULL;
    msg_unref(slot->server);
    msg_unref(slot->type);
    msg_unref(slot->state);
    free(slot);
    return NULL;
}

static void free_gone(struct list *gone)
{
    struct list *node;

    while ((node = list_take_first(gone)))
        slot_free(container_of(node, struct slot, age));
}

/* What the question brings; NULL: no memory. */
static struct slot *slot_of(const struct store_ask *ask, uint64_t hash)
{
    const struct store_question *question = &ask->question;
    struct slot *slot = calloc(1, sizeof *slot + question->key.len);
    int error = 0;

    if (!slot)
        return NULL;
    list_init(&slot->age);
    slot->hash = hash;
    slot->key_len = (uint16_t)question->key.len;
    memcpy(slot->key, question->key.at, question->key.len);
    if (question->op == STORE_PUT_SERVER) {
        error = msg_new(question->server, &slot->server);
    } else {
        memcpy(slot->version, ask->entry.version, sizeof slot->version);
        error = msg_new(question->state, &slot->state);
        if (!error && question->type.len)
            error = msg_new(question->type, &slot->type);
    }
    return error ? slot_free(slot) : slot;
}

static void copy_text(const struct msg *from, char *to, size_t size)
{
    struct bytes text = from ? bytes_slice(msg_bytes(from), 0, size - 1) : (struct bytes){0};

    if (text.len)
        memcpy(to, text.at, text.len);
    to[text.len] = '\0';
}

static void exchange(struct msg **a, struct msg **b)
{
    struct msg *c = *a;

    *a = *b;
    *b = c;
}

/* --- questions -----------------------------------------------------------------------------------
 */

struct visit {
    struct memory *memory;
    struct shard *shard;
    struct bytes key;
    uint64_t hash, now, due_usec;
    struct list gone;
};

static struct visit visit_of(const struct store_ask *ask)
{
    struct memory *memory = memory_of(ask);
    uint64_t hash = hash_of(memory, ask->question.key), now = now_of(&ask->flow);

    return (struct visit){
        memory, shard_of(memory, hash), ask->question.key, hash, now, now + ask->store->ttl_usec,
        {0}};
}

static enum store_outcome look(struct visit *v, struct store_ask *ask)
{
    struct msg *server = NULL, *type = NULL, *state = NULL;

    lock_take(&v->shard->lock);
    struct slot *slot = find_live(v->memory, v->shard, v->hash, v->key, v->now, &v->gone);
    if (slot) {
        use(v->shard, slot, v->due_usec);
        server = slot->server ? msg_ref(slot->server) : NULL;
        memcpy(ask->entry.version, slot->version, sizeof slot->version);
    }
    if (slot && ask->question.op == STORE_GET) {
        type = slot->type ? msg_ref(slot->type) : NULL;
        state = slot->state ? msg_ref(slot->state) : NULL;
    }
    lock_give(&v->shard->lock);
    copy_text(server, ask->entry.server, sizeof ask->entry.server);
    copy_text(type, ask->entry.type, sizeof ask->entry.type);
    msg_unref(server);
    msg_unref(type);
    ask->entry.state = state;
    return slot ? STORE_OK : STORE_ABSENT;
}

/* The old values go into `new`, which is freed afterwards. */
static void replace(struct slot *slot, struct slot *new, enum store_op op)
{
    if (op == STORE_PUT_SERVER) {
        exchange(&slot->server, &new->server);
        return;
    }
    exchange(&slot->type, &new->type);
    exchange(&slot->state, &new->state);
    memcpy(slot->version, new->version, sizeof slot->version);
}

static bool condition_holds(const struct store_ask *ask, const struct slot *slot)
{
    return store_condition_holds(&ask->question,
                                 slot ? bytes_of(slot->version) : (struct bytes){0});
}

static int put(struct visit *v, struct store_ask *ask, enum store_outcome *ret_outcome)
{
    uint64_t limit = ask->store->entries / v->memory->shards;
    struct slot *new = slot_of(ask, v->hash);

    if (!new)
        return -ENOMEM;
    new->due_usec = v->due_usec;
    lock_take(&v->shard->lock);
    struct slot *slot = find_live(v->memory, v->shard, v->hash, v->key, v->now, &v->gone);
    bool holds = ask->question.op == STORE_PUT_SERVER || condition_holds(ask, slot);
    if (holds && slot) {
        replace(slot, new, ask->question.op);
        use(v->shard, slot, v->due_usec);
    } else if (holds) {
        make_room(v->memory, v->shard, limit, v->now, &v->gone);
        put_in(v->memory, v->shard, TAKE(new));
    }
    lock_give(&v->shard->lock);
    slot_free(new);
    *ret_outcome = holds ? STORE_OK : STORE_CONFLICT;
    return 0;
}

static enum store_outcome delete (struct visit *v, struct store_ask *ask) {
    enum store_outcome outcome = STORE_ABSENT;

    lock_take(&v->shard->lock);
    struct slot *slot = find_live(v->memory, v->shard, v->hash, v->key, v->now, &v->gone);
    if (!condition_holds(ask, slot)){outcome = STORE_CONFLICT;}
else if (slot)
{
    take_out(v->memory, v->shard, find(v->memory, v->shard, v->hash, v->key), &v->gone);
    outcome = STORE_OK;
}
lock_give(&v->shard->lock);
return outcome;
}

static enum store_outcome touch(struct visit *v)
{
    lock_take(&v->shard->lock);
    struct slot *slot = find_live(v->memory, v->shard, v->hash, v->key, v->now, &v->gone);
    if (slot)
        use(v->shard, slot, v->due_usec);
    lock_give(&v->shard->lock);
    return slot ? STORE_OK : STORE_ABSENT;
}

static int memory_ask(struct store_ask *ask)
{
    struct visit v = visit_of(ask);
    enum store_outcome outcome = STORE_ABSENT;
    int error = 0;

    list_init(&v.gone);
    switch (ask->question.op) {
    case STORE_FIND:
    case STORE_GET:
        outcome = look(&v, ask);
        break;
    case STORE_PUT_SERVER:
    case STORE_PUT_STATE:
        error = put(&v, ask, &outcome);
        break;
    case STORE_DELETE:
        outcome = delete (&v, ask);
        break;
    case STORE_TOUCH:
        outcome = touch(&v);
        break;
    }
    free_gone(&v.gone);
    if (!error)
        store_decide(ask, outcome);
    return error;
}

/* --- opening and closing -------------------------------------------------------------------------
 */

static void memory_close(struct store_body *body)
{
    struct memory *memory = (struct memory *)body;
    struct list *node;

    for (size_t i = 0; i < memory->shards; i++) {
        struct shard *shard = &memory->shard[i];
        while ((node = list_take_first(&shard->oldest)))
            slot_free(container_of(node, struct slot, age));
        free(shard->bucket);
        lock_done(&shard->lock);
    }
    free(memory);
}

/* So many buckets as entries are allowed now; untouched ones cost nothing. With more entries after
 * a reload the chains are longer, which is all. */
static int memory_open(const struct store_settings *settings, struct store_body **ret_body,
                       char ret_words[256])
{
    struct memory *memory = calloc(1, sizeof *memory);
    bool is_whole = memory;

    (void)ret_words;
    if (!memory)
        return -ENOMEM;
    memory->seed[0] = sys_random();
    memory->seed[1] = sys_random();
    memory->shards = settings->entries / SHARD_ENTRIES;
    memory->shards = memory->shards < 1            ? 1
                     : memory->shards > SHARDS_MAX ? SHARDS_MAX
                                                   : memory->shards;
    memory->buckets = SHARD_BUCKETS;
    while (memory->buckets < settings->entries / memory->shards)
        memory->buckets *= 2;
    for (size_t i = 0; i < memory->shards; i++) {
        struct shard *shard = &memory->shard[i];
        lock_init(&shard->lock);
        list_init(&shard->oldest);
        shard->bucket = calloc(memory->buckets, sizeof(struct slot *));
        is_whole = is_whole && shard->bucket;
    }
    if (is_whole)
        *ret_body = &memory->body;
    else
        memory_close(&memory->body);
    return is_whole ? 0 : -ENOMEM;
}

static bool memory_fits(const struct store_body *body, const struct store_settings *settings)
{
    (void)body, (void)settings;
    return true; /* another limit of entries holds from the next put on */
}

static uint64_t memory_entries(const struct store_body *body)
{
    return atomic_load_explicit(&((const struct memory *)body)->count, memory_order_relaxed);
}

const struct store_backend store_backend_memory = {
    .name = "memory",
    .open = memory_open,
    .fits = memory_fits,
    .close = memory_close,
    .ask = memory_ask,
    .entries = memory_entries,
};
