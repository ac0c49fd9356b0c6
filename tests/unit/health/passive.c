#include "health/passive.c"

#include "test.h"

#include <pthread.h>
#include <stdio.h>

static struct pool *pool;
static struct passive_settings settings;
static char lines[8192];

static void keep_line(struct log *log, struct bytes line)
{
    (void)log;
    if (strlen(lines) + line.len < sizeof lines)
        strncat(lines, (const char *)line.at, line.len);
}

static uint64_t no_time(struct log *log)
{
    (void)log;
    return 0;
}

static struct log keeper = {.write = keep_line, .now_usec = no_time};

static void begin(size_t servers)
{
    struct pool_member_spec members[16] = {{.weight = 1}};
    char text[32];

    for (size_t i = 0; i < servers; i++) {
        snprintf(text, sizeof text, "127.0.0.1:%zu", 9001 + i);
        members[i] = (struct pool_member_spec){.weight = 1};
        EXPECT(address_parse(text, &members[i].address) == 0);
    }
    EXPECT(pool_new("chat", balancer_find("round_robin"), members, servers, NULL, &pool) == 0);
    settings = (struct passive_settings){.is_on = true,
                                         .failures = 3,
                                         .window = 10000,
                                         .eject = 1000,
                                         .eject_max = 3500,
                                         .max_ejected = 50};
    lines[0] = '\0';
}

static void end(void)
{
    pool = pool_unref(pool);
}

static bool fails(size_t number, uint64_t now_usec)
{
    const struct passive passive = {&settings, pool, pool_server(pool, number), &keeper, now_usec};

    return passive_note_failure(&passive, REASON_CONNECT_REFUSED, 0);
}

/* True: it is ejected by the last of them. */
static bool fails_thrice(size_t number, uint64_t now_usec)
{
    bool too_soon = fails(number, now_usec);

    too_soon |= fails(number, now_usec);
    return fails(number, now_usec) && !too_soon;
}

static uint64_t until(size_t number)
{
    return atomic_load(&pool_server(pool, number)->passive.ejected_until_usec);
}

TEST(what_the_server_did_counts_and_nothing_else)
{
    EXPECT(passive_counts(REASON_CONNECT_REFUSED, false));
    EXPECT(passive_counts(REASON_CONNECT_TOO_SLOW, false));
    EXPECT(passive_counts(REASON_ANSWER_TOO_SLOW, true));
    EXPECT(!passive_counts(REASON_ANSWER_TOO_SLOW, false));
    EXPECT(passive_counts(REASON_ANSWER_WRONG, true));
    EXPECT(passive_counts(REASON_SERVER_LEFT, true));
    EXPECT(!passive_counts(REASON_PORTS_SHORT, true));
    EXPECT(!passive_counts(REASON_DESCRIPTORS_SHORT, true));
    EXPECT(!passive_counts(REASON_CLIENT_LEFT, true));

    settings.slow = 1000;
    settings.early = 500;
    static const unsigned clients_own[] = {200, 301, 400, 401, 403, 404, 426, 429};
    for (size_t i = 0; i < ARRAY_LEN(clients_own); i++)
        EXPECT(passive_judge_answer(&settings, clients_own[i], 5000) == REASON_DONE);
    EXPECT(passive_judge_answer(&settings, 500, 1) == REASON_UPGRADE_REFUSED);
    EXPECT(passive_judge_answer(&settings, 503, 1) == REASON_UPGRADE_REFUSED);
    EXPECT(passive_judge_answer(&settings, 101, 1000) == REASON_DONE);
    EXPECT(passive_judge_answer(&settings, 101, 1001) == REASON_HANDSHAKE_SLOW);
    EXPECT(passive_judge_end(&settings, REASON_SERVER_RESET, 499));
    EXPECT(!passive_judge_end(&settings, REASON_SERVER_RESET, 500));
    EXPECT(!passive_judge_end(&settings, REASON_CLIENT_RESET, 1));
    settings = (struct passive_settings){0};
    EXPECT(passive_judge_answer(&settings, 101, UINT64_MAX) == REASON_DONE);
    EXPECT(!passive_judge_end(&settings, REASON_SERVER_RESET, 0));
}

TEST(failures_in_a_window_eject)
{
    begin(2);
    EXPECT(!fails(0, 100) && !fails(0, 200));
    EXPECT(fails(0, 300) && until(0) == 1300);
    EXPECT(strstr(lines, "ejected") && strstr(lines, "CONNECT_REFUSED") &&
           strstr(lines, "chat/127.0.0.1:9001"));
    EXPECT(!server_is_usable(pool_server(pool, 0), 1299));
    EXPECT(server_is_usable(pool_server(pool, 0), 1300));
    EXPECT(!fails(0, 400) && until(0) == 1300); /* those under way tell nothing new */
    end();
}

TEST(failures_over_several_windows_do_not)
{
    begin(2);
    for (uint64_t now = 100; now < 500000; now += 5100)
        EXPECT(!fails(0, now));
    end();
}

TEST(each_ejection_in_a_row_is_twice_as_long_up_to_a_limit)
{
    begin(2);
    EXPECT(fails_thrice(0, 1000) && until(0) == 2000);
    EXPECT(fails_thrice(0, 11000) && until(0) == 13000);
    EXPECT(fails_thrice(0, 22000) && until(0) == 25500);
    EXPECT(fails_thrice(0, 35499) && until(0) == 38999);
    /* back for as long as the window: forgotten */
    EXPECT(fails_thrice(0, 48999) && until(0) == 49999);
    end();
}

TEST(only_a_share_of_the_pool_is_out_at_once)
{
    begin(5);
    EXPECT(fails_thrice(0, 1000) && fails_thrice(1, 1000));
    EXPECT(!fails_thrice(2, 1000) && !until(2)); /* half of five are two */
    EXPECT(fails_thrice(2, 2000));               /* the others are back */
    end();
    begin(1);
    EXPECT(!fails_thrice(0, 1000));
    settings.max_ejected = 100;
    EXPECT(fails_thrice(0, 1000));
    end();
}

TEST(what_is_not_on_does_nothing)
{
    begin(2);
    settings.is_on = false;
    for (int i = 0; i < 10; i++)
        EXPECT(!fails(0, 1000));
    end();
}

static void *fail_everywhere(void *ejected)
{
    for (uint64_t i = 0; i < 4000; i++)
        if (fails(i % 10, 1000 + i))
            atomic_fetch_add((atomic_uint *)ejected, 1);
    return NULL;
}

TEST(threads_that_fail_together_never_eject_too_many)
{
    pthread_t threads[4];
    atomic_uint ejected = 0;
    size_t out = 0;

    begin(10);
    settings.eject = settings.eject_max = 1000000;
    keeper.level = LEVEL_ERROR;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        EXPECT(pthread_create(&threads[i], NULL, fail_everywhere, &ejected) == 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 10; i++)
        out += until(i) > 100000;
    EXPECT(out == 5 && atomic_load(&ejected) == 5);
    keeper.level = LEVEL_DEBUG;
    end();
}
