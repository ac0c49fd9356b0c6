#include "health/outcomes.c"

#include "test.h"

#include <pthread.h>

static struct server server;

static void note(uint64_t number)
{
    const struct health_outcome outcome = {
        .wall_usec = number,
        .took_usec = number * 3,
        .kind = CHECK_WEBSOCKET,
        .reason = REASON_CHECK_STATUS,
        .status = 503,
    };

    health_note_outcome(&server, &outcome);
}

TEST(the_last_ones_are_kept_newest_first)
{
    struct health_outcome got[HEALTH_OUTCOMES_MAX];

    server = (struct server){0};
    EXPECT(health_outcomes(&server, got) == 0);
    for (uint64_t i = 1; i <= 30; i++) {
        note(i);
        size_t count = health_outcomes(&server, got);
        EXPECT(count == (i < HEALTH_OUTCOMES_MAX ? i : HEALTH_OUTCOMES_MAX));
        for (size_t k = 0; k < count; k++)
            EXPECT(got[k].wall_usec == i - k && got[k].took_usec == 3 * (i - k));
    }
    EXPECT(got[0].kind == CHECK_WEBSOCKET && got[0].reason == REASON_CHECK_STATUS &&
           got[0].status == 503);
    EXPECT(HEALTH_OUTCOMES_MAX == 8);
}

static void *write_on(void *stop)
{
    for (uint64_t i = 1; !atomic_load((atomic_bool *)stop); i++)
        note(i);
    return NULL;
}

TEST(a_reader_sees_no_entry_that_is_half_written)
{
    struct health_outcome got[HEALTH_OUTCOMES_MAX];
    static atomic_bool stop;
    pthread_t writer;

    server = (struct server){0};
    EXPECT(pthread_create(&writer, NULL, write_on, &stop) == 0);
    for (int i = 0; i < 200000; i++) {
        size_t count = health_outcomes(&server, got);
        for (size_t k = 0; k < count; k++) {
            EXPECT(got[k].took_usec ==
                   (got[k].wall_usec * 3 > UINT32_MAX ? UINT32_MAX : got[k].wall_usec * 3));
            EXPECT(k == 0 || got[k].wall_usec == got[k - 1].wall_usec - 1);
        }
    }
    atomic_store(&stop, true);
    pthread_join(writer, NULL);
}
