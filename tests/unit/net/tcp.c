#include "net/tcp.c"

#include "test.h"

/* The kernel's rule (tcp_keepalive_timer): whoever has been silent for user_timeout when a probe is
 * due, after one that was not answered, is gone. */
static unsigned probes_before_the_end(uint32_t keepalive_sec, uint32_t user_timeout_sec)
{
    struct tcp_tuning tuning = {keepalive_sec, user_timeout_sec * 1000};
    unsigned probes = 0;

    for (uint32_t at = keepalive_sec; !probes || at < user_timeout_sec;
         at += probe_interval_sec(&tuning))
        probes++;
    return probes;
}

TEST(one_lost_probe_is_not_the_end)
{
    EXPECT(probes_before_the_end(60, 120) == 3);
    EXPECT(probes_before_the_end(30, 60) == 3);
    EXPECT(probes_before_the_end(1, 4) == 3);
    EXPECT(probes_before_the_end(60, 62) == 2); /* no more fit: seconds are the unit */
    EXPECT(probes_before_the_end(10, 86400) >= 3);
}

TEST(where_idling_is_longer_than_patience_a_probe_is_all_there_is)
{
    EXPECT(probes_before_the_end(60, 30) == 1);
    EXPECT(probes_before_the_end(60, 60) == 1);
}

TEST(an_interval_is_never_nothing)
{
    for (uint32_t keepalive_sec = 1; keepalive_sec < 200; keepalive_sec++)
        for (uint32_t msec = 0; msec < 400000; msec += 777)
            EXPECT(probe_interval_sec(&(struct tcp_tuning){keepalive_sec, msec}) >= 1);
}

TEST(without_patience_probes_are_counted)
{
    EXPECT(probe_interval_sec(&(struct tcp_tuning){60, 0}) == 20);
}
