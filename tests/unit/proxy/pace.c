#include "proxy/pace.c"

#include "test.h"

#define SECOND ((uint64_t)1000000)

/* Whoever is due within [from, to), looked at every millisecond. */
static size_t count_due(struct pace *pace, uint64_t from, uint64_t to, size_t *waiting)
{
    size_t sum = 0;

    for (uint64_t now = from; now < to; now += 1000) {
        size_t due = pace_due(pace, now, *waiting, SIZE_MAX);
        *waiting -= due;
        sum += due;
    }
    return sum;
}

TEST(a_thousand_over_five_seconds_are_two_hundred_in_each)
{
    struct pace pace;
    size_t waiting = 1000;

    pace_begin(&pace, 7 * SECOND, 5 * SECOND);
    for (unsigned i = 0; i < 5; i++) {
        size_t due = count_due(&pace, (7 + i) * SECOND, (8 + i) * SECOND, &waiting);
        EXPECT(due >= 199 && due <= 201);
    }
    EXPECT(waiting == 0 && pace.next_usec == 0);
}

TEST(workers_with_different_shares_are_even_together)
{
    struct pace a, b;
    size_t many = 970, few = 30;

    pace_begin(&a, 0, 5 * SECOND);
    pace_begin(&b, 0, 5 * SECOND);
    for (unsigned i = 0; i < 10; i++) {
        uint64_t from = i * SECOND / 2, to = (i + 1) * SECOND / 2;
        size_t due = count_due(&a, from, to, &many) + count_due(&b, from, to, &few);
        EXPECT(due >= 95 && due <= 105);
    }
    EXPECT(many == 0 && few == 0);
}

TEST(who_leaves_by_himself_slows_the_others_down)
{
    struct pace pace;
    size_t waiting = 100;

    pace_begin(&pace, 0, 10 * SECOND);
    EXPECT(count_due(&pace, 0, 5 * SECOND, &waiting) == 50);
    waiting = 10;
    size_t due = count_due(&pace, 5 * SECOND, 10 * SECOND, &waiting);
    EXPECT(due == 10 && waiting == 0);

    waiting = 100;
    pace_begin(&pace, 0, 10 * SECOND);
    count_due(&pace, 0, 5 * SECOND, &waiting);
    waiting = 10;
    due = count_due(&pace, 5 * SECOND, 7500000, &waiting);
    EXPECT(due >= 4 && due <= 6);
}

TEST(who_comes_late_has_the_rest_of_the_window_and_none_when_it_is_over)
{
    struct pace pace;

    pace_begin(&pace, 0, 10 * SECOND);
    EXPECT(pace_due(&pace, 0, 0, SIZE_MAX) == 0 && pace.next_usec == 0);
    EXPECT(pace_due(&pace, 8 * SECOND, 2, SIZE_MAX) == 0);
    EXPECT(pace.next_usec == 8500000);
    EXPECT(pace_due(&pace, 8500000, 2, SIZE_MAX) == 1 && pace.next_usec > 9 * SECOND);
    EXPECT(pace_due(&pace, 10 * SECOND, 1, SIZE_MAX) == 1);
    EXPECT(pace_due(&pace, 20 * SECOND, 3, SIZE_MAX) == 3);
}

TEST(without_a_window_all_are_due_a_part_at_a_time)
{
    struct pace pace;

    pace_begin(&pace, 5, 0);
    EXPECT(pace_due(&pace, 5, 1000, 256) == 256 && pace.next_usec != 0);
    EXPECT(pace_due(&pace, 5, 744, 1000) == 744 && pace.next_usec == 0);
}

TEST(the_order_meets_each_once_and_mixes)
{
    for (size_t count = 1; count < 400; count++) {
        size_t stride = pace_stride(count);
        unsigned char met[400] = {0};
        size_t old = 0;
        for (size_t k = 0; k < count; k++) {
            size_t at = pace_place(k, stride, count);
            EXPECT(at < count && !met[at]);
            met[at] = 1;
            old += k < count / 2 && at < count / 2;
        }
        EXPECT(count < 50 || (old * 10 >= count * 2 && old * 10 <= count * 3));
    }
}

/* Closes one after the other, each of which comes back to the emptiest if it comes back at all. */
static unsigned even_out(struct pace_load *of, size_t count, uint64_t tolerance, bool come_back)
{
    uint64_t least = 0;
    unsigned closed = 0;

    for (size_t i = 0; i < count; i++)
        least += of[i].tunnels;
    for (;;) {
        size_t fullest = pace_fullest(of, count, least, tolerance), emptiest = 0;
        if (fullest == count)
            return closed;
        closed++;
        EXPECT(closed < 10000);
        of[fullest].tunnels--;
        for (size_t i = 0; come_back && i < count; i++)
            if (of[i].tunnels * of[emptiest].weight < of[emptiest].tunnels * of[i].weight)
                emptiest = i;
        of[emptiest].tunnels += come_back;
    }
}

TEST(the_fullest_are_brought_down_to_the_mean_and_the_tolerance)
{
    struct pace_load of[3] = {{300, 1}, {300, 1}, {0, 1}};

    EXPECT(even_out(of, 3, 10, true) == 160);
    EXPECT(of[0].tunnels == 220 && of[1].tunnels == 220 && of[2].tunnels == 160);
    struct pace_load exact[3] = {{301, 1}, {300, 1}, {0, 1}};
    EXPECT(even_out(exact, 3, 0, true) == 199 && exact[2].tunnels == 199);
    struct pace_load fine[3] = {{220, 1}, {200, 1}, {180, 1}};
    EXPECT(even_out(fine, 3, 10, true) == 0);
    struct pace_load few[3] = {{1, 1}, {1, 1}, {0, 1}};
    EXPECT(even_out(few, 3, 10, true) == 0);
    EXPECT(pace_fullest(few, 0, 0, 10) == 0);
}

TEST(who_does_not_come_back_makes_nobody_else_leave)
{
    struct pace_load of[3] = {{300, 1}, {300, 1}, {0, 1}};

    EXPECT(even_out(of, 3, 10, false) == 160);
    EXPECT(of[0].tunnels == 220 && of[1].tunnels == 220);
}

TEST(full_is_by_weight)
{
    struct pace_load of[2] = {{300, 3}, {100, 1}}, other[2] = {{200, 3}, {200, 1}};

    EXPECT(pace_fullest(of, 2, 0, 10) == 2);
    EXPECT(pace_fullest(other, 2, 0, 10) == 1);
}
