/* With a backend that says what it is told to say. */
#include "session/store.c"

#include "ask.h"

static struct store *store;
static struct store_ask ask;
static const struct store_question find_it = {.op = STORE_FIND, .key = {(const uint8_t *)"k", 1}};

/* --- a backend by hand ---------------------------------------------------------------------------
 */

static struct store_body by_hand;
static enum store_outcome says; /* STORE_PENDING: nothing */
static const char *refuses, *knows;
static bool is_ill;
static unsigned asked, left;

static void hear_by_hand(struct store_ask *a)
{
    if (refuses)
        store_refuse(a, refuses, is_ill);
    else if (says != STORE_PENDING)
        store_decide(a, says);
}

static int ask_by_hand(struct store_ask *a)
{
    (void)a;
    asked++;
    return 0;
}

static const char *leave_by_hand(struct store_ask *a)
{
    (void)a;
    left++;
    return knows;
}

static void close_by_hand(struct store_body *body)
{
    (void)body;
}

static const struct store_backend backend_by_hand = {.name = "by hand",
                                                     .close = close_by_hand,
                                                     .ask = ask_by_hand,
                                                     .hear = hear_by_hand,
                                                     .leave = leave_by_hand};

static char last_line[1024];
static void keep_line(struct log *log, struct bytes line)
{
    (void)log;
    size_t len = line.len < sizeof last_line ? line.len : sizeof last_line - 1;
    memcpy(last_line, line.at, len);
    last_line[len] = '\0';
}

static uint64_t now_of_log(struct log *log)
{
    (void)log;
    return 0;
}

static void open_by_hand(enum store_fail fail)
{
    static struct log log = {.write = keep_line, .now_usec = now_of_log};
    struct store_settings settings = store_settings_of(10);
    char words[256];

    parent_begin();
    parent_worker.log = &log;
    settings.fail = fail;
    EXPECT(store_new(&settings, NULL, &store, words) == 0);
    store_body_unref(store->body);
    by_hand = (struct store_body){.backend = &backend_by_hand};
    atomic_init(&by_hand.references, 1);
    breaker_init(&by_hand.breaker, BREAKER_FAILURES, BREAKER_REST_USEC);
    store->body = &by_hand;
    ask = (struct store_ask){0};
    says = STORE_OK;
    refuses = knows = NULL;
    is_ill = true;
    asked = left = 0;
    last_line[0] = '\0';
}

static void close_all(void)
{
    store_ask_done(&ask);
    store = store_unref(store);
    parent_end();
}

static enum store_outcome question(void)
{
    return outcome_of(store, find_it);
}

TEST(an_answer_is_passed_on)
{
    open_by_hand(STORE_FAIL_OPEN);
    EXPECT(question() == STORE_OK && asked == 1 && left == 1);
    says = STORE_ABSENT;
    EXPECT(question() == STORE_ABSENT);
    EXPECT(store_counters(store)->gets_ever == 2 && store_counters(store)->hits_ever == 1);
    close_all();
}

TEST(no_answer_within_the_timeout_is_what_fail_says)
{
    for (enum store_fail fail = STORE_FAIL_OPEN; fail <= STORE_FAIL_CLOSED; fail++) {
        open_by_hand(fail);
        says = STORE_PENDING;
        store_ask_start(&ask, store, &find_it, parent);
        parent_turn();
        fake_now_usec += 49000;
        parent_turn();
        EXPECT(!flow_is_over(&ask.flow));
        fake_now_usec += 3000;
        parent_turn();
        EXPECT(flow_is_over(&ask.flow) && left == 1);
        EXPECT(ask.outcome == (fail == STORE_FAIL_OPEN ? STORE_GO_WITHOUT : STORE_GIVE_UP));
        EXPECT(!strcmp(ask.words, TIMED_OUT));
        EXPECT(store_counters(store)->failures_ever == 1 &&
               store_counters(store)->too_slow_ever == 1);
        close_all();
    }
}

TEST(what_is_known_of_the_trouble_is_said_instead)
{
    open_by_hand(STORE_FAIL_OPEN);
    says = STORE_PENDING;
    knows = "it is loading";
    store_ask_start(&ask, store, &find_it, parent);
    parent_turn();
    fake_now_usec += 60000;
    parent_turn();
    EXPECT(flow_is_over(&ask.flow) && !strcmp(ask.words, "it is loading"));
    close_all();
}

TEST(who_left_himself_says_nothing_about_the_store)
{
    open_by_hand(STORE_FAIL_CLOSED);
    says = STORE_PENDING;
    store_ask_start(&ask, store, &find_it, parent);
    parent_turn();
    flow_stop(&ask.flow, REASON_CLIENT_LEFT);
    EXPECT(ask.outcome == STORE_PENDING && left == 1);
    EXPECT(store_counters(store)->failures_ever == 0);
    close_all();
}

TEST(the_breaker_opens_says_so_and_is_tried)
{
    open_by_hand(STORE_FAIL_CLOSED);
    refuses = "it is gone";
    for (unsigned i = 0; i < BREAKER_FAILURES; i++) {
        EXPECT(!last_line[0] && question() == STORE_GIVE_UP);
    }
    EXPECT(strstr(last_line, "it is gone") && strstr(last_line, "sessions"));
    EXPECT(asked == BREAKER_FAILURES && question() == STORE_GIVE_UP && asked == BREAKER_FAILURES);
    EXPECT(!strcmp(store_breaker_state(store, fake_now_usec), "open"));
    EXPECT(store_counters(store)->skipped_ever == 1);
    fake_now_usec += BREAKER_REST_USEC + 1000;
    EXPECT(!strcmp(store_breaker_state(store, fake_now_usec), "half_open"));
    refuses = NULL;
    EXPECT(question() == STORE_OK && strstr(last_line, "answers again"));
    EXPECT(!strcmp(store_breaker_state(store, fake_now_usec), "closed"));
    close_all();
}

TEST(a_question_that_was_refused_does_not_open_it)
{
    open_by_hand(STORE_FAIL_OPEN);
    refuses = "it is full";
    is_ill = false;
    for (unsigned i = 0; i < 20; i++)
        EXPECT(question() == STORE_GO_WITHOUT);
    EXPECT(asked == 20 && !strcmp(store_breaker_state(store, fake_now_usec), "closed"));
    close_all();
}

TEST(what_is_too_long_is_never_asked)
{
    static uint8_t much[STORE_STATE_MAX + 1];
    const struct bytes key = {much, 1}, long_key = {much, STORE_KEY_MAX + 1};
    const struct store_question rows[] = {
        {.op = STORE_FIND},
        {.op = STORE_FIND, .key = long_key},
        {.op = STORE_PUT_SERVER, .key = key},
        {.op = STORE_PUT_SERVER, .key = key, .server = {much, STORE_SERVER_MAX + 1}},
        {.op = STORE_PUT_STATE, .key = key, .state = {much, STORE_STATE_MAX + 1}},
        {.op = STORE_PUT_STATE, .key = key, .type = {much, STORE_TYPE_MAX + 1}},
        {.op = STORE_DELETE, .key = key, .version = {much, STORE_VERSION_LEN + 1}},
    };

    open_by_hand(STORE_FAIL_CLOSED);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT(outcome_of(store, rows[i]) == STORE_GIVE_UP && asked == 0);
        EXPECT(store_tell(store, &rows[i], &parent_worker.runner) == -EINVAL);
    }
    close_all();
}

TEST(who_only_tells_needs_keep_nothing)
{
    char key[] = "k", server[] = "a";
    const struct store_question put = {
        .op = STORE_PUT_SERVER, .key = bytes_of(key), .server = bytes_of(server)};

    open_by_hand(STORE_FAIL_OPEN);
    EXPECT(store_tell(store, &put, &parent_worker.runner) == 0);
    key[0] = server[0] = 'x';
    parent_turn();
    EXPECT(asked == 1 && left == 1 && store_counters(store)->puts_ever == 1);
    close_all();
}
