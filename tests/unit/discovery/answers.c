#include "discovery/answers.c"

#include "test.h"

#include <stdio.h>

static struct address addresses[RESOLVER_FAMILIES][16];

/* "127.0.0.1:1 127.0.0.2:1"; "": none (there is no such name); "!words": it failed. */
static struct resolver_half half(enum resolver_family family, const char *text, uint32_t ttl_sec)
{
    struct resolver_half half = {.at = addresses[family], .ttl_sec = ttl_sec};
    char copy[256], *rest = NULL;

    if (text[0] == '!')
        return (struct resolver_half){.error = -ETIMEDOUT, .words = text + 1};
    if (!text[0])
        return (struct resolver_half){.error = -ENOENT, .words = "there is no such name"};
    snprintf(copy, sizeof copy, "%s", text);
    for (char *one = strtok_r(copy, " ", &rest); one; one = strtok_r(NULL, " ", &rest))
        EXPECT(address_parse(one, &half.at[half.count++]) == 0);
    return half;
}

static struct answer_meaning take(struct knowledge *knowledge, const char *v4, const char *v6)
{
    struct resolver_answer answer = {
        .half = {half(RESOLVER_V4, v4, 30), half(RESOLVER_V6, v6, 20)}};
    struct answer_meaning meaning;

    EXPECT(answers_take(knowledge, &answer, &meaning) == 0);
    return meaning;
}

static bool knows(const struct knowledge *knowledge, const char *wanted)
{
    char text[512] = "", address[ADDRESS_TEXT_BYTES];
    size_t used = 0;

    for (size_t i = 0; i < knowledge->count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? " " : "",
                                 address_write(&knowledge->at[i].address, address));
    if (strcmp(text, wanted) != 0)
        print_error("is: %s\nwanted: %s\n", text, wanted);
    return strcmp(text, wanted) == 0;
}

TEST(order_and_repetition_mean_nothing)
{
    struct knowledge knowledge = {0};
    struct answer_meaning meaning = take(&knowledge, "10.0.0.2:1 10.0.0.1:1 10.0.0.2:1", "[::1]:1");

    EXPECT(meaning.kind == ANSWER_GOOD && meaning.is_changed && !meaning.has_missing);
    EXPECT(meaning.ttl_sec == 20 && !meaning.words);
    EXPECT(knows(&knowledge, "10.0.0.1:1 10.0.0.2:1 [::1]:1"));
    meaning = take(&knowledge, "10.0.0.1:1 10.0.0.2:1", "[::1]:1");
    EXPECT(!meaning.is_changed && !meaning.has_missing);
    knowledge_done(&knowledge);
}

TEST(one_answer_alone_takes_nobody_away)
{
    struct knowledge knowledge = {0};

    take(&knowledge, "10.0.0.1:1 10.0.0.2:1", "");
    struct answer_meaning meaning = take(&knowledge, "10.0.0.2:1", "");
    EXPECT(!meaning.is_changed && meaning.has_missing);
    EXPECT(knows(&knowledge, "10.0.0.1:1 10.0.0.2:1"));
    meaning = take(&knowledge, "10.0.0.1:1 10.0.0.2:1", ""); /* it flapped */
    EXPECT(!meaning.is_changed && !meaning.has_missing);
    take(&knowledge, "10.0.0.2:1", "");
    meaning = take(&knowledge, "10.0.0.2:1 10.0.0.3:1", "");
    EXPECT(meaning.is_changed && !meaning.has_missing);
    EXPECT(knows(&knowledge, "10.0.0.2:1 10.0.0.3:1"));
    knowledge_done(&knowledge);
}

TEST(nothing_and_silence_take_nobody_away)
{
    struct knowledge knowledge = {0};

    take(&knowledge, "10.0.0.1:1", "[::1]:1");
    for (int i = 0; i < 5; i++) {
        struct answer_meaning meaning = take(&knowledge, "", "");
        EXPECT(meaning.kind == ANSWER_EMPTY && !meaning.is_changed);
        EXPECT(strcmp(meaning.words, "there is no such name") == 0);
        meaning = take(&knowledge, "!late", "!late");
        EXPECT(meaning.kind == ANSWER_FAILED && strcmp(meaning.words, "late") == 0);
        meaning = take(&knowledge, "", "!late");
        EXPECT(meaning.kind == ANSWER_FAILED);
    }
    EXPECT(knows(&knowledge, "10.0.0.1:1 [::1]:1"));
    knowledge_done(&knowledge);
}

TEST(a_family_that_fails_alone_keeps_what_it_said)
{
    struct knowledge knowledge = {0};

    take(&knowledge, "10.0.0.1:1", "[::1]:1");
    for (int i = 0; i < 5; i++) {
        struct answer_meaning meaning = take(&knowledge, "10.0.0.1:1", "!late");
        EXPECT(meaning.kind == ANSWER_GOOD && !meaning.is_changed && !meaning.has_missing);
        EXPECT(meaning.ttl_sec == 30 && strcmp(meaning.words, "late") == 0);
    }
    EXPECT(knows(&knowledge, "10.0.0.1:1 [::1]:1"));
    take(&knowledge, "10.0.0.1:1", ""); /* and one that says so twice has none */
    take(&knowledge, "10.0.0.1:1", "");
    EXPECT(knows(&knowledge, "10.0.0.1:1"));
    knowledge_done(&knowledge);
}

TEST(when_to_ask_again)
{
    static const struct {
        enum answer_kind kind;
        uint32_t ttl_sec;
        bool has_missing, was_ever_good;
        unsigned failures;
        uint64_t sec;
    } rows[] = {
        {ANSWER_GOOD, 30, false, true, 0, 30},        {ANSWER_GOOD, 0, false, true, 0, 1},
        {ANSWER_GOOD, 1000000, false, true, 0, 3600}, {ANSWER_GOOD, 30, true, true, 0, 5},
        {ANSWER_GOOD, 2, true, true, 0, 2},           {ANSWER_FAILED, 0, false, true, 1, 5},
        {ANSWER_FAILED, 0, false, true, 2, 10},       {ANSWER_EMPTY, 0, false, true, 4, 40},
        {ANSWER_FAILED, 0, false, true, 5, 60},       {ANSWER_FAILED, 0, false, true, 4000000, 60},
        {ANSWER_FAILED, 0, false, false, 1, 1},       {ANSWER_FAILED, 0, false, false, 4, 8},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct answer_meaning meaning = {
            .kind = rows[i].kind, .ttl_sec = rows[i].ttl_sec, .has_missing = rows[i].has_missing};
        uint64_t least = answers_wait_usec(&meaning, rows[i].failures, rows[i].was_ever_good, 0);
        EXPECT(least == rows[i].sec * 1000000);
        for (uint64_t random = 1; random; random *= 3) {
            uint64_t wait =
                answers_wait_usec(&meaning, rows[i].failures, rows[i].was_ever_good, random);
            EXPECT(wait >= least && wait <= least + least / 10);
            if (random > UINT64_MAX / 3)
                break;
        }
    }
}
