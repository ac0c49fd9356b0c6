#include "health/health.c"

#include "fake_health.h"

/* The pool with so many servers from now on. */
static void resize(size_t servers)
{
    struct pool *before = pool;

    pool = make_pool(servers, before);
    EXPECT(adopt() == 0);
    pool_unref(before);
}

TEST(who_stays_keeps_what_is_known_of_it)
{
    health_begin(2);
    on(CHECK_TCP);
    EXPECT(adopt() == 0);
    fake_fd[FD].out_room = fake_fd[FD + 1].out_room = SIZE_MAX / 2;
    for (int i = 0; i < 100 && fake_calls.next_fd < FD + 2; i++)
        pass(1000);
    fake_event(FD, EPOLLOUT);
    fake_event(FD + 1, EPOLLOUT);
    parent_turn();
    parent_turn();
    EXPECT(strcmp(changes, "unknown>up unknown>up ") == 0);
    resize(3);
    EXPECT(atomic_load(&pool_server(pool, 0)->check) == CHECK_UP);
    EXPECT(atomic_load(&pool_server(pool, 2)->check) == CHECK_UNKNOWN && health->count == 3);
    resize(1);
    EXPECT(health->count == 1 && verdict() == CHECK_UP);
    settings.checks[CHECK_TCP].is_on = false;
    EXPECT(adopt() == 0 && verdict() == CHECK_UNKNOWN);
    EXPECT(strstr(lines, "CHECKS_CHANGED"));
    next_socket();
    pass(20000000);
    parent_turn();
    EXPECT(fake_calls.next_fd == FD); /* and nobody is asked */
    health_end();
}

TEST(the_worst_of_several_checks_counts)
{
    health_begin(1);
    on(CHECK_TCP);
    EXPECT(adopt() == 0);
    until_asked();
    accept_it();
    EXPECT(verdict() == CHECK_UP);
    on(CHECK_HTTP);
    settings.checks[CHECK_TCP].interval = 3600000000;
    EXPECT(adopt() == 0 && verdict() == CHECK_UNKNOWN);
    until_asked();
    accept_it();
    fake_input(FD, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    parent_turn();
    EXPECT(verdict() == CHECK_DOWN && newest().reason == REASON_CHECK_STATUS);
    health_end();
}

TEST(a_longer_interval_that_was_shortened_holds_at_once)
{
    health_begin(1);
    on(CHECK_TCP)->interval = 3600000000;
    EXPECT(adopt() == 0);
    until_asked();
    accept_it();
    settings.checks[CHECK_TCP].interval = 1000000;
    EXPECT(adopt() == 0);
    until_asked();
    accept_it();
    health_end();
}

TEST(ten_thousand_do_not_ask_at_once)
{
    enum { SERVERS = 10000 };
    uint64_t most = 0;

    health_begin(SERVERS);
    on(CHECK_TCP)->timeout = 60000000;
    fake_calls.next_fd = -EMFILE; /* sockets are made only below */
    EXPECT(adopt() == 0);
    /* first checks are spread over the interval */
    for (int i = 0; i < 5; i++) {
        uint64_t before = counter("checks_not_made_ever");
        pass(1000000);
        parent_turn();
        uint64_t now = counter("checks_not_made_ever") - before;
        most = now > most ? now : most;
        EXPECT(now > 1500);
    }
    EXPECT(most < 3500 && counter("checks_under_way_most") <= HEALTH_UNDER_WAY_MAX);
    health_end();
}

TEST(no_more_than_so_many_are_asked_at_once_and_the_others_in_turn)
{
    enum { SERVERS = HEALTH_UNDER_WAY_MAX + 20 };

    health_begin(SERVERS);
    on(CHECK_TCP);
    EXPECT(adopt() == 0);
    /* without descriptors each fails at once, so a crowd is made by hand */
    atomic_store(&health->counters.checks_under_way, HEALTH_UNDER_WAY_MAX);
    fake_calls.next_fd = -EMFILE;
    pass(1000000);
    parent_turn();
    EXPECT(counter("checks_waiting") == SERVERS && counter("checks_not_made_ever") == 0);
    resize(SERVERS - 10); /* those that leave leave the queue */
    EXPECT(counter("checks_waiting") == SERVERS - 10);
    settings.checks[CHECK_TCP].is_on = false;
    EXPECT(adopt() == 0 && counter("checks_waiting") == 0);
    EXPECT(counter("checks_under_way") == HEALTH_UNDER_WAY_MAX);
    health_end();
}

/* --- X-Turnout-Drain on clients' answers -------------------------------------------------------
 */

static void hear_drain(void)
{
    health_hear_drain(health, pool_server(pool, 0), fake_now_usec);
    mailbox_deliver(&parent_worker.mailbox);
    parent_turn();
}

TEST(a_server_that_asks_is_drained_for_a_minute_after_the_last_time)
{
    health_begin(1);
    EXPECT(adopt() == 0);
    hear_drain();
    EXPECT(verdict() == CHECK_DRAINING && strcmp(changes, "unknown>draining ") == 0);
    pass(30000000);
    hear_drain();
    pass(59000000);
    EXPECT(verdict() == CHECK_DRAINING);
    pass(1100000);
    parent_turn();
    EXPECT(verdict() == CHECK_UNKNOWN && strstr(lines, "DRAIN_FORGOTTEN"));
    hear_drain();
    EXPECT(verdict() == CHECK_DRAINING);
    health_end();
}

TEST(it_is_told_once_however_often_it_asks)
{
    health_begin(1);
    EXPECT(adopt() == 0);
    for (int i = 0; i < 5; i++)
        health_hear_drain(health, pool_server(pool, 0), fake_now_usec);
    EXPECT(mailbox_deliver(&parent_worker.mailbox) == 1);
    health_hear_drain(health, pool_server(pool, 0), fake_now_usec);
    EXPECT(mailbox_deliver(&parent_worker.mailbox) == 0);
    health_end();
}

TEST(a_letter_about_one_that_has_gone_is_nothing)
{
    health_begin(2);
    EXPECT(adopt() == 0);
    health_hear_drain(health, pool_server(pool, 1), fake_now_usec);
    resize(1);
    EXPECT(mailbox_deliver(&parent_worker.mailbox) == 1);
    EXPECT(changes[0] == '\0');
    health_end();
}

TEST(a_later_check_without_the_header_takes_the_wish_back)
{
    static const char *const good = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    health_begin(1);
    on(CHECK_HTTP);
    EXPECT(adopt() == 0);
    until_asked();
    accept_it();
    fake_input(FD, good);
    parent_turn();
    EXPECT(verdict() == CHECK_UP);
    hear_drain();
    EXPECT(verdict() == CHECK_DRAINING);
    until_asked();
    accept_it();
    hear_drain(); /* later than the question: the answer says nothing about it */
    fake_input(FD, good);
    parent_turn();
    EXPECT(verdict() == CHECK_DRAINING);
    until_asked();
    accept_it();
    fake_input(FD, good);
    parent_turn();
    EXPECT(verdict() == CHECK_UP);
    health_end();
}

TEST(the_end_of_an_ejection_is_told)
{
    struct server *server;

    health_begin(1);
    EXPECT(adopt() == 0);
    server = pool_server(pool, 0);
    atomic_store(&server->passive.ejected_until_usec, fake_now_usec + 1000000);
    health_hear_ejection(health, server);
    mailbox_deliver(&parent_worker.mailbox);
    atomic_store(&server->passive.ejected_until_usec, fake_now_usec + 2000000); /* and again */
    pass(1500000);
    EXPECT(!strstr(lines, "EJECTION_OVER"));
    pass(600000);
    EXPECT(strstr(lines, "EJECTION_OVER") && strstr(lines, "ejected"));
    health_hear_ejection(health, server);
    mailbox_deliver(&parent_worker.mailbox);
    health_end(); /* with its timer armed */
}
