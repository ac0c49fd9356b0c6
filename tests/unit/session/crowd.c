/* Threads that use one store in memory as workers do, on few keys. Counting in a state by
 * compare-and-set loses no step; the store never holds more than it may; and under
 * -Db_sanitize=thread it shows that nothing races. */
#include "session/store_memory.c"

#include "base/random.h"
#include "test.h"

#include <stdio.h>

#define THREADS 4
#define ROUNDS  20000
#define STEPS   2000 /* that each thread counts */
#define ENTRIES 64

static struct store *store;

struct someone {
    struct worker worker;
    pthread_t thread;
    struct random random;
    unsigned conflicts;
};

static void question_of(struct someone *s, struct store_ask *ask, enum store_op op,
                        struct bytes key)
{
    msg_unref(ask->entry.state);
    *ask = (struct store_ask){.store = store, .question = {.op = op, .key = key}};
    ask->flow.runner = &s->worker.runner;
}

static enum store_outcome put_question(struct store_ask *ask)
{
    EXPECT(memory_ask(ask) == 0);
    return ask->outcome;
}

static unsigned number_in(const struct store_ask *ask)
{
    char digits[16] = "";

    if (ask->entry.state)
        memcpy(digits, msg_bytes(ask->entry.state).at, msg_bytes(ask->entry.state).len);
    return (unsigned)atoi(digits);
}

static void count_one(struct someone *s)
{
    const struct bytes key = bytes_of("the counter");
    char digits[16], version[STORE_VERSION_LEN + 1];
    struct store_ask ask = {0};

    do {
        question_of(s, &ask, STORE_GET, key);
        bool is_there = put_question(&ask) == STORE_OK;
        int len = snprintf(digits, sizeof digits, "%u", number_in(&ask) + 1);
        memcpy(version, ask.entry.version, sizeof version);
        question_of(s, &ask, STORE_PUT_STATE, key);
        ask.question.condition = is_there ? STORE_IF_VERSION : STORE_IF_NONE;
        ask.question.version = bytes_of(version);
        ask.question.state = (struct bytes){(uint8_t *)digits, (size_t)len};
        bytes_write_hex(random_next(&s->random), ask.entry.version);
        s->conflicts++;
    } while (put_question(&ask) != STORE_OK);
    s->conflicts--;
}

static void do_anything(struct someone *s)
{
    char key[16], server[16];
    struct store_ask ask = {0};
    uint64_t number = random_next(&s->random);

    snprintf(key, sizeof key, "k%u", (unsigned)(number % (2 * ENTRIES)));
    snprintf(server, sizeof server, "s%u", (unsigned)(number >> 40));
    question_of(s, &ask, (enum store_op)(number >> 20 & 7) % (STORE_TOUCH + 1), bytes_of(key));
    ask.question.server = ask.question.state = ask.question.type = bytes_of(server);
    if (ask.question.op == STORE_PUT_STATE)
        bytes_write_hex(number, ask.entry.version);
    put_question(&ask);
    if (ask.question.op == STORE_GET && ask.entry.state) /* of one put, not of two */
        EXPECT(bytes_equal(msg_bytes(ask.entry.state), bytes_of(ask.entry.type)));
    EXPECT(store_entries(store) <= ENTRIES);
    msg_unref(ask.entry.state);
}

static void *live(void *whose)
{
    struct someone *s = whose;

    for (unsigned i = 0; i < ROUNDS; i++) {
        do_anything(s);
        if (i % (ROUNDS / STEPS) == 0)
            count_one(s);
    }
    return NULL;
}

static void write_nowhere(struct log *log, struct bytes line)
{
    (void)log, (void)line;
}

TEST(no_step_is_lost_and_no_entry_too_many)
{
    static struct log log = {.write = write_nowhere};
    static struct someone someone[THREADS];
    const struct store_settings settings = {
        .name = "s", .kind = STORE_MEMORY, .timeout = 1, .ttl = UINT32_MAX, .entries = ENTRIES};
    char words[256];
    struct store_ask ask = {0};

    EXPECT(store_new(&settings, NULL, &store, words) == 0);
    for (unsigned i = 0; i < THREADS; i++) {
        EXPECT(worker_init(&someone[i].worker, i, &log) == 0);
        random_init(&someone[i].random, i);
        EXPECT(pthread_create(&someone[i].thread, NULL, live, &someone[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(someone[i].thread, NULL);
    question_of(&someone[0], &ask, STORE_GET, bytes_of("the counter"));
    EXPECT(put_question(&ask) == STORE_OK);
    EXPECT(number_in(&ask) == THREADS * STEPS);
    msg_unref(ask.entry.state);
    for (unsigned i = 0; i < THREADS; i++)
        worker_done(&someone[i].worker);
    store = store_unref(store);
}
