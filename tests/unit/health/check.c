#include "health/check.c"

#include "fake_health.h"

static void answer(const char *text)
{
    fake_input(FD, text);
    parent_turn();
    parent_turn();
}

TEST(a_connection_is_enough_for_tcp_and_left_without_a_trace)
{
    health_begin(1);
    on(CHECK_TCP);
    EXPECT(adopt() == 0 && verdict() == CHECK_UNKNOWN);
    until_asked();
    accept_it();
    EXPECT(verdict() == CHECK_UP && newest().reason == REASON_DONE && newest().kind == CHECK_TCP);
    EXPECT(fake_fd[FD].is_aborted && fake_fd[FD].out_len == 0);
    EXPECT(strcmp(changes, "unknown>up ") == 0);
    health_end();
}

TEST(the_first_outcome_decides_and_then_fall_and_rise_do)
{
    health_begin(1);
    on(CHECK_TCP);
    EXPECT(adopt() == 0);
    until_asked();
    refuse_it();
    EXPECT(verdict() == CHECK_DOWN && newest().reason == REASON_CONNECT_REFUSED);
    until_asked();
    accept_it();
    EXPECT(verdict() == CHECK_DOWN);
    until_asked();
    accept_it();
    EXPECT(verdict() == CHECK_UP);
    for (int i = 0; i < 2; i++) {
        until_asked();
        refuse_it();
        EXPECT(verdict() == CHECK_UP);
    }
    until_asked();
    refuse_it();
    EXPECT(verdict() == CHECK_DOWN);
    EXPECT(strcmp(changes, "unknown>down down>up up>down ") == 0);
    EXPECT(counter("checks_ever") == 6 && counter("checks_failed_ever") == 4);
    EXPECT(strstr(lines, "CONNECT_REFUSED") && strstr(lines, "chat/127.0.0.1:9001"));
    health_end();
}

TEST(who_is_moving_is_asked_fast_and_others_slowly)
{
    uint64_t asked, again;

    health_begin(1);
    on(CHECK_TCP);
    EXPECT(adopt() == 0);
    until_asked();
    accept_it();
    asked = fake_now_usec;
    until_asked();
    again = fake_now_usec;
    EXPECT(again - asked >= 4500000 && again - asked <= 5550000);
    refuse_it();
    asked = fake_now_usec;
    until_asked();
    again = fake_now_usec;
    EXPECT(again - asked >= 900000 && again - asked <= 1150000);
    health_end();
}

TEST(a_get_is_heard_to_the_end)
{
    health_begin(1);
    on(CHECK_HTTP);
    EXPECT(adopt() == 0);
    until_asked();
    accept_it();
    EXPECT(strncmp(fake_fd[FD].out, "GET /health HTTP/1.1\r\nHost: a.example\r\n", 39) == 0);
    answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    EXPECT(verdict() == CHECK_UNKNOWN);
    answer("k");
    EXPECT(verdict() == CHECK_UP && newest().status == 200 && fake_fd[FD].is_closed);
    until_asked();
    accept_it();
    answer("HTTP/1.1 503 No\r\nContent-Length: 8\r\n\r\ndraining");
    EXPECT(verdict() == CHECK_DRAINING && newest().status == 503);
    EXPECT(newest().reason == REASON_SERVER_DRAINS);
    health_end();
}

TEST(an_endpoint_that_hangs_behind_its_head_fails_by_the_timeout_of_the_whole)
{
    health_begin(1);
    on(CHECK_HTTP);
    EXPECT(adopt() == 0);
    until_asked();
    pass(900000);
    accept_it();
    pass(900000);
    answer("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n");
    pass(100000);
    answer("a"); /* a trickle does not move it */
    EXPECT(verdict() == CHECK_UNKNOWN);
    pass(110000);
    parent_turn();
    EXPECT(verdict() == CHECK_DOWN && newest().reason == REASON_CHECK_TOO_SLOW);
    EXPECT(newest().took_usec >= 2000000 && newest().took_usec < 2100000);
    EXPECT(fake_fd[FD].is_closed && counter("checks_under_way") == 0);
    health_end();
}

TEST(one_that_never_answers_and_one_that_never_connects_are_late_in_their_way)
{
    health_begin(1);
    on(CHECK_HTTP);
    EXPECT(adopt() == 0);
    until_asked();
    accept_it();
    pass(2010000);
    parent_turn();
    EXPECT(newest().reason == REASON_ANSWER_TOO_SLOW);
    until_asked();
    pass(2010000);
    parent_turn();
    EXPECT(newest().reason == REASON_CONNECT_TOO_SLOW);
    health_end();
}

TEST(what_is_wrong_with_us_says_nothing_about_the_server)
{
    health_begin(1);
    on(CHECK_TCP);
    fake_calls.next_fd = -EMFILE;
    EXPECT(adopt() == 0);
    pass(50000);
    parent_turn();
    EXPECT(verdict() == CHECK_UNKNOWN && newest().reason == REASON_DESCRIPTORS_SHORT);
    EXPECT(counter("checks_not_made_ever") == 1 && counter("checks_ever") == 0);
    health_end();
}

TEST(a_server_that_is_told_of_clients_is_told_that_this_is_none)
{
    health_begin(1);
    on(CHECK_HTTP);
    settings.proxy_out = PROXY_OUT_V1;
    EXPECT(adopt() == 0);
    until_asked();
    accept_it();
    EXPECT(strncmp(fake_fd[FD].out, "PROXY UNKNOWN\r\nGET /health ", 27) == 0);
    settings.proxy_out = PROXY_OUT_V2;
    EXPECT(adopt() == 0);
    answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    until_asked();
    accept_it();
    EXPECT(memcmp(fake_fd[FD].out, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0GET ", 20) == 0);
    health_end();
}

TEST(words_that_the_socket_does_not_take_at_once_go_out_later)
{
    health_begin(1);
    on(CHECK_HTTP);
    EXPECT(adopt() == 0);
    until_asked();
    fake_fd[FD].out_room = 10;
    accept_it();
    EXPECT(fake_fd[FD].out_len == 10 && verdict() == CHECK_UNKNOWN);
    fake_room(FD, 10000);
    parent_turn();
    EXPECT(fake_fd[FD].out_len > 60 && memmem(fake_fd[FD].out, fake_fd[FD].out_len, "\r\n\r\n", 4));
    answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT(verdict() == CHECK_UP);
    health_end();
}

TEST(it_may_be_stopped_anywhere)
{
    for (int where = 0; where < 4; where++) {
        health_begin(1);
        on(CHECK_HTTP);
        EXPECT(adopt() == 0);
        if (where > 0)
            until_asked();
        if (where > 1)
            accept_it();
        if (where > 2)
            answer("HTTP/1.1 200 OK\r\nContent-Le");
        health_end();
        EXPECT(where == 0 || fake_fd[FD].is_closed);
    }
}

TEST(who_sleeps_through_an_answer_blames_nobody)
{
    health_begin(1);
    on(CHECK_HTTP);
    EXPECT(adopt() == 0);
    until_asked();
    accept_it();
    pass(5000000); /* a thread that was busy with something else */
    parent_turn();
    EXPECT(verdict() == CHECK_UNKNOWN && newest().reason == REASON_CHECK_UNTIMED);
    EXPECT(counter("checks_failed_ever") == 0 && counter("checks_not_made_ever") == 1);
    until_asked();
    pass(5000000);
    parent_turn();
    EXPECT(verdict() == CHECK_UNKNOWN && newest().reason == REASON_CHECK_UNTIMED);
    health_end();
}
