#include "balance/least_time.c"

#include "test.h"

static size_t choose_at(const struct candidate *of, size_t count, uint64_t turn)
{
    return choose(NULL, of, count, &(struct pick){.turn = turn});
}

TEST(the_soonest_wins)
{
    const struct candidate of[] = {
        {.active = 1, .weight = 1, .latency_usec = 500, .is_open = true},   /* 1000 */
        {.active = 8, .weight = 1, .latency_usec = 100, .is_open = true},   /* 900 */
        {.active = 3, .weight = 10, .latency_usec = 2000, .is_open = true}, /* 800 */
        {.active = 0, .weight = 1, .latency_usec = 1, .is_open = false},
    };

    for (uint64_t turn = 0; turn < FORGETS_EVERY - 1; turn++)
        EXPECT(choose_at(of, 4, turn) == 2);
}

TEST(large_figures_do_not_wrap)
{
    const struct candidate of[] = {
        {.active = UINT32_MAX, .weight = 256, .latency_usec = UINT32_MAX, .is_open = true},
        {.active = UINT32_MAX, .weight = 255, .latency_usec = UINT32_MAX, .is_open = true},
        {.active = 1u << 31, .weight = 1, .latency_usec = UINT32_MAX, .is_open = true}};

    for (uint64_t turn = 0; turn < 6; turn++)
        EXPECT(choose_at(of, 3, turn) == 0);
}

TEST(an_unknown_one_is_first_but_once_at_a_time)
{
    struct candidate of[] = {
        {.active = 0, .weight = 1, .latency_usec = 10, .is_open = true},
        {.active = 0, .weight = 1, .latency_usec = 0, .is_open = true},
        {.active = 0, .weight = 1, .latency_usec = 90, .is_open = true},
    };

    EXPECT(choose_at(of, 3, 0) == 1);
    of[1].active = 1; /* now as if it took 90, twice */
    for (; of[0].active < 8; of[0].active++)
        EXPECT(choose_at(of, 3, 0) == 0);
    EXPECT(choose_at(of, 3, 0) == 0 || choose_at(of, 3, 0) == 2);
    of[0].active = 9;
    EXPECT(choose_at(of, 3, 0) == 2);
}

/* At the start nothing is known of anyone: each in turn, then by connections. */
TEST(where_nothing_is_known_all_take_turns)
{
    struct candidate of[3];

    for (size_t i = 0; i < 3; i++)
        of[i] = (struct candidate){.weight = 1, .is_open = true};
    for (uint64_t turn = 0; turn < 60; turn++)
        of[choose_at(of, 3, turn)].active++;
    for (size_t i = 0; i < 3; i++)
        EXPECT(of[i].active == 20);
}

/* The slow one is asked again now and then: it may have become fast. */
TEST(nobody_is_slow_for_ever)
{
    const struct candidate of[] = {
        {.active = 5, .weight = 1, .latency_usec = 10, .is_open = true},
        {.active = 0, .weight = 1, .latency_usec = 100000, .is_open = true},
    };
    unsigned got[2] = {0};

    for (uint64_t turn = 0; turn < 640; turn++)
        got[choose_at(of, 2, turn)]++;
    EXPECT(got[0] == 630 && got[1] == 10);
}
