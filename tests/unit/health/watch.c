#include "health/watch.c"

#include "fake_health.h"

static struct watch *watch;
static struct plan *plan;

static void begin(void)
{
    health_begin(1);
    for (int kind = 0; kind < CHECK_KINDS; kind++)
        on((enum check_kind)kind);
    const struct health_pool of = {.pool = pool, .settings = &settings};
    plan = plan_new(&of, 1);
    EXPECT(plan != NULL);
    watch = watch_new(health, pool_server(pool, 0), plan);
    EXPECT(watch != NULL);
}

static void end(void)
{
    watch = watch_free(watch);
    plan = plan_unref(plan);
    health_end();
}

static void find(enum check_kind kind, enum reason reason)
{
    const struct finding finding = {.kind = kind, .reason = reason, .began_usec = fake_now_usec};

    watch_hear(watch, &finding);
}

TEST(the_worst_word_counts)
{
    begin();
    EXPECT(verdict() == CHECK_UNKNOWN);
    find(CHECK_TCP, REASON_DONE);
    find(CHECK_HTTP, REASON_DONE);
    EXPECT(verdict() == CHECK_UNKNOWN); /* websocket has not said anything */
    find(CHECK_WEBSOCKET, REASON_DONE);
    EXPECT(verdict() == CHECK_UP);
    find(CHECK_HTTP, REASON_SERVER_DRAINS);
    EXPECT(verdict() == CHECK_DRAINING);
    for (int i = 0; i < 3; i++)
        find(CHECK_TCP, REASON_CONNECT_REFUSED);
    EXPECT(verdict() == CHECK_DOWN);
    for (int i = 0; i < 2; i++)
        find(CHECK_TCP, REASON_DONE);
    EXPECT(verdict() == CHECK_DRAINING);
    for (int i = 0; i < 2; i++)
        find(CHECK_HTTP, REASON_DONE);
    EXPECT(verdict() == CHECK_UP);
    EXPECT(strcmp(changes, "unknown>up up>draining draining>down down>draining draining>up ") == 0);
    EXPECT(counter("verdicts_ever") == 5);
    end();
}

TEST(a_shortage_of_ours_is_noted_and_moves_nothing)
{
    static const enum reason ours[] = {REASON_PORTS_SHORT, REASON_DESCRIPTORS_SHORT,
                                       REASON_NO_MEMORY};

    begin();
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        find(CHECK_TCP, ours[i]);
        EXPECT(verdict() == CHECK_UNKNOWN && newest().reason == ours[i]);
    }
    EXPECT(counter("checks_not_made_ever") == ARRAY_LEN(ours) && counter("checks_ever") == 0);
    end();
}

TEST(what_changes_is_told_with_its_reason)
{
    begin();
    find(CHECK_WEBSOCKET, REASON_CHECK_PONG_MISSING);
    EXPECT(strstr(lines, "\"event\":\"health\"") && strstr(lines, "CHECK_PONG_MISSING"));
    EXPECT(strstr(lines, "\"from\":\"unknown\"") && strstr(lines, "\"to\":\"down\""));
    lines[0] = '\0';
    find(CHECK_WEBSOCKET, REASON_CHECK_PONG_MISSING);
    EXPECT(!lines[0]); /* once */
    end();
}

TEST(only_an_answer_that_could_carry_the_header_takes_the_wish_back)
{
    struct finding finding = {.kind = CHECK_HTTP, .reason = REASON_DONE};

    begin();
    for (int kind = 0; kind < CHECK_KINDS; kind++)
        find((enum check_kind)kind, REASON_DONE);
    atomic_store(&pool_server(pool, 0)->drain_asked_usec, fake_now_usec);
    watch_hear_drain(watch);
    EXPECT(verdict() == CHECK_DRAINING);
    finding.began_usec = fake_now_usec + 1;
    watch_hear(watch, &finding);
    EXPECT(verdict() == CHECK_DRAINING); /* as of tcp */
    finding.carries_headers = true;
    finding.began_usec = fake_now_usec;
    watch_hear(watch, &finding);
    EXPECT(verdict() == CHECK_DRAINING); /* it was asked before */
    finding.began_usec = fake_now_usec + 1;
    watch_hear(watch, &finding);
    EXPECT(verdict() == CHECK_UP);
    end();
}
