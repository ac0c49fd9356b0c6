#include "balance/least_connections.c"

#include "test.h"

static size_t choose_at(const struct candidate *of, size_t count, uint64_t turn)
{
    const struct pick pick = {.turn = turn};

    return choose(NULL, of, count, &pick);
}

TEST(the_fewest_for_its_weight_wins)
{
    const struct candidate of[] = {{.active = 10, .weight = 10, .is_open = true},
                                   {.active = 3, .weight = 4, .is_open = true},
                                   {.active = 1, .weight = 1, .is_open = true},
                                   {.active = 0, .weight = 1, .is_open = false}};

    for (uint64_t turn = 0; turn < 8; turn++)
        EXPECT(choose_at(of, 4, turn) == 1);
}

/* As many as there can be, times the largest weight: no product wraps. */
TEST(large_counts_do_not_wrap)
{
    const struct candidate of[] = {{.active = UINT32_MAX, .weight = 256, .is_open = true},
                                   {.active = UINT32_MAX, .weight = 255, .is_open = true},
                                   {.active = 1u << 31, .weight = 1, .is_open = true}};

    for (uint64_t turn = 0; turn < 6; turn++)
        EXPECT(choose_at(of, 3, turn) == 0);
}

TEST(equals_take_turns_also_beside_a_closed_one)
{
    const struct candidate of[] = {{.active = 2, .weight = 1, .is_open = true},
                                   {.active = 0, .weight = 1, .is_open = false},
                                   {.active = 4, .weight = 2, .is_open = true},
                                   {.active = 9, .weight = 1, .is_open = true},
                                   {.active = 6, .weight = 3, .is_open = true}};
    unsigned got[5] = {0};

    for (uint64_t turn = 7; turn < 7 + 60; turn++)
        got[choose_at(of, 5, turn)]++;
    EXPECT(got[0] == 20 && got[2] == 20 && got[4] == 20);
}

TEST(the_turn_may_be_any_number)
{
    const struct candidate of[] = {{.active = 0, .weight = 1, .is_open = true},
                                   {.active = 0, .weight = 1, .is_open = true},
                                   {.active = 0, .weight = 1, .is_open = true}};

    EXPECT(choose_at(of, 3, UINT64_MAX) == UINT64_MAX % 3);
}
