/* A talk with a server made of text. */
#pragma once

#include "health/checker.h"

#include "test.h"

static struct check_settings settings;
static struct random random_numbers;
static struct talk talk;

static inline void talk_begin(const struct checker *checker)
{
    random_init(&random_numbers, 7);
    buf_done(&talk.in);
    buf_done(&talk.out);
    buf_done(&talk.message);
    talk =
        (struct talk){.settings = &settings, .host = "chat.example.com", .random = &random_numbers};
    buf_init(&talk.in, TALK_IN_BYTES);
    buf_init(&talk.out, TALK_OUT_BYTES);
    EXPECT(checker->begin(&talk) == TALK_ON);
}

static inline void talk_done(void)
{
    buf_done(&talk.in);
    buf_done(&talk.out);
    buf_done(&talk.message);
    settings = (struct check_settings){0};
}

static inline enum talk_next hear_bytes(const struct checker *checker, struct bytes bytes)
{
    EXPECT(buf_append(&talk.in, bytes) == 0);
    return checker->hear(&talk);
}

static inline enum talk_next hear_text(const struct checker *checker, const char *text)
{
    return hear_bytes(checker, bytes_of(text));
}

static inline enum talk_next hear_end(const struct checker *checker)
{
    talk.has_ended = true;
    return checker->hear(&talk);
}
