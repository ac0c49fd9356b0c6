#include "session/store_memory.c"

#include "ask.h"

#include <stdio.h>

static struct store *store;
static struct store_ask ask;

static void begin(uint64_t entries)
{
    struct store_settings settings = store_settings_of(entries);
    char words[256];

    parent_begin();
    ask = (struct store_ask){0};
    EXPECT(store_new(&settings, NULL, &store, words) == 0);
}

static void end(void)
{
    store_ask_done(&ask);
    store = store_unref(store);
    parent_end();
}

static enum store_outcome put_server(const char *key, const char *server)
{
    return outcome_of(store, (struct store_question){.op = STORE_PUT_SERVER,
                                                     .key = bytes_of(key),
                                                     .server = bytes_of(server)});
}

static enum store_outcome put_state(const char *key, enum store_condition condition,
                                    const char *version, const char *state)
{
    put_question(&ask, store,
                 (struct store_question){.op = STORE_PUT_STATE,
                                         .condition = condition,
                                         .key = bytes_of(key),
                                         .version = bytes_of(version),
                                         .type = bytes_of("text/plain"),
                                         .state = bytes_of(state)});
    return ask.outcome;
}

static enum store_outcome get(const char *key)
{
    put_question(&ask, store, (struct store_question){.op = STORE_GET, .key = bytes_of(key)});
    return ask.outcome;
}

static bool state_is(const char *wanted)
{
    return ask.entry.state && bytes_equal(msg_bytes(ask.entry.state), bytes_of(wanted));
}

TEST(a_server_and_a_state_are_kept_apart)
{
    begin(100);
    EXPECT(get("k") == STORE_ABSENT);
    EXPECT(put_server("k", "chat/127.0.0.1:9001") == STORE_OK);
    EXPECT(get("k") == STORE_OK && !strcmp(ask.entry.server, "chat/127.0.0.1:9001"));
    EXPECT(!ask.entry.version[0] && !ask.entry.state);
    EXPECT(put_state("k", STORE_ALWAYS, "", "seat 7") == STORE_OK);
    EXPECT(put_server("k", "chat/[::1]:9002") == STORE_OK);
    EXPECT(get("k") == STORE_OK && !strcmp(ask.entry.server, "chat/[::1]:9002"));
    EXPECT(state_is("seat 7") && !strcmp(ask.entry.type, "text/plain"));
    EXPECT(strlen(ask.entry.version) == STORE_VERSION_LEN);
    put_question(&ask, store, (struct store_question){.op = STORE_FIND, .key = bytes_of("k")});
    EXPECT(ask.outcome == STORE_OK && ask.entry.version[0] && !ask.entry.state);
    EXPECT(store_entries(store) == 1);
    end();
}

TEST(compare_and_set)
{
    char first[STORE_VERSION_LEN + 1], second[STORE_VERSION_LEN + 1];

    begin(100);
    EXPECT(put_state("k", STORE_IF_ANY, "", "a") == STORE_CONFLICT);
    EXPECT(put_state("k", STORE_IF_VERSION, "", "a") == STORE_CONFLICT);
    EXPECT(put_state("k", STORE_IF_NONE, "", "a") == STORE_OK);
    memcpy(first, ask.entry.version, sizeof first);
    EXPECT(put_state("k", STORE_IF_NONE, "", "b") == STORE_CONFLICT);
    EXPECT(put_state("k", STORE_IF_VERSION, first, "b") == STORE_OK);
    memcpy(second, ask.entry.version, sizeof second);
    EXPECT(strcmp(first, second) != 0);
    EXPECT(put_state("k", STORE_IF_VERSION, first, "c") == STORE_CONFLICT);
    EXPECT(get("k") == STORE_OK && state_is("b") && !strcmp(ask.entry.version, second));
    EXPECT(put_state("k", STORE_IF_ANY, "", "") == STORE_OK); /* empty, and there */
    EXPECT(get("k") == STORE_OK && state_is("") && ask.entry.version[0]);
    const struct store_question stale = {.op = STORE_DELETE,
                                         .condition = STORE_IF_VERSION,
                                         .key = bytes_of("k"),
                                         .version = bytes_of(second)};
    EXPECT(outcome_of(store, stale) == STORE_CONFLICT);
    const struct store_question any = {.op = STORE_DELETE, .key = bytes_of("k")};
    EXPECT(outcome_of(store, any) == STORE_OK && outcome_of(store, any) == STORE_ABSENT);
    EXPECT(get("k") == STORE_ABSENT && store_entries(store) == 0);
    end();
}

TEST(an_entry_lives_for_ttl_after_its_last_use)
{
    const struct store_question touch_it = {.op = STORE_TOUCH, .key = bytes_of("k")};

    begin(100);
    EXPECT(outcome_of(store, touch_it) == STORE_ABSENT);
    EXPECT(put_server("k", "a") == STORE_OK);
    for (unsigned i = 0; i < 4; i++) {
        fake_now_usec += TTL_USEC - 1000;
        EXPECT(i % 2 ? get("k") == STORE_OK : outcome_of(store, touch_it) == STORE_OK);
    }
    fake_now_usec += TTL_USEC + 1000;
    EXPECT(get("k") == STORE_ABSENT && store_entries(store) == 0);
    end();
}

TEST(a_full_one_forgets_who_was_not_asked_for_longest)
{
    char key[16];

    begin(8);
    for (unsigned i = 0; i < 8; i++) {
        snprintf(key, sizeof key, "k%u", i);
        EXPECT(put_server(key, "a") == STORE_OK);
    }
    EXPECT(get("k0") == STORE_OK);
    EXPECT(put_server("new", "a") == STORE_OK && store_entries(store) == 8);
    EXPECT(get("k0") == STORE_OK && get("k1") == STORE_ABSENT && get("k2") == STORE_OK);
    end();
}

TEST(expired_ones_leave_when_others_come)
{
    char key[16];

    begin(1000);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "k%u", i);
        EXPECT(put_server(key, "a") == STORE_OK);
    }
    fake_now_usec += TTL_USEC + 1000;
    for (unsigned i = 0; i < 30; i++) {
        snprintf(key, sizeof key, "n%u", i);
        EXPECT(put_server(key, "a") == STORE_OK);
    }
    EXPECT(store_entries(store) == 30);
    end();
}

TEST(keys_are_any_bytes_and_none_is_taken_for_another)
{
    uint8_t key[STORE_KEY_MAX];
    char server[16];

    begin(100000);
    memset(key, 0, sizeof key);
    for (size_t len = 1; len <= sizeof key; len++) {
        int size = snprintf(server, sizeof server, "s%zu", len);
        const struct store_question question = {
            .op = STORE_PUT_SERVER, .key = {key, len}, .server = {(uint8_t *)server, (size_t)size}};
        EXPECT(outcome_of(store, question) == STORE_OK);
    }
    for (size_t len = 1; len <= sizeof key; len++) {
        snprintf(server, sizeof server, "s%zu", len);
        put_question(&ask, store, (struct store_question){.op = STORE_FIND, .key = {key, len}});
        EXPECT(ask.outcome == STORE_OK && !strcmp(ask.entry.server, server));
    }
    end();
}

TEST(it_is_the_same_one_under_the_next_configuration)
{
    struct store_settings settings = store_settings_of(4);
    struct store *next = NULL;
    char words[256], key[16];

    begin(1000);
    EXPECT(put_server("k", "a") == STORE_OK);
    EXPECT(store_new(&settings, store, &next, words) == 0);
    store_unref(store);
    store = next;
    EXPECT(get("k") == STORE_OK && store_counters(store)->puts_ever == 1);
    for (unsigned i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "n%u", i);
        EXPECT(put_server(key, "a") == STORE_OK);
    }
    EXPECT(store_entries(store) == 4); /* as it says now */
    end();
}
