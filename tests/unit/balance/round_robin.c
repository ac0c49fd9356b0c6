#include "balance/round_robin.c"

#include "base/random.h"
#include "test.h"

#include <string.h>

#define MOST 40

static struct schedule *schedule_of(const uint32_t *weight, size_t count, struct candidate *ret_of)
{
    void *prepared = NULL;

    for (size_t i = 0; i < count; i++)
        ret_of[i] = (struct candidate){.weight = weight[i], .is_open = true};
    EXPECT(prepare(ret_of, count, &prepared) == 0);
    return prepared;
}

static size_t choose_at(const struct schedule *schedule, const struct candidate *of, size_t count,
                        uint64_t turn)
{
    const struct pick pick = {.turn = turn};

    return choose(schedule, of, count, &pick);
}

/* nginx's own words for it: {5, 1, 1} is a a b a c a a. */
TEST(the_order_is_nginx_s)
{
    static const char expected[] = "aabacaa";
    struct candidate of[3];
    struct schedule *schedule = schedule_of((const uint32_t[]){5, 1, 1}, 3, of);

    EXPECT(schedule->length == 7);
    for (unsigned turn = 0; turn < 21; turn++)
        EXPECT(choose_at(schedule, of, 3, turn) == (size_t)(expected[turn % 7] - 'a'));
    free(schedule);
}

TEST(weights_are_in_lowest_terms)
{
    struct candidate of[3];
    struct schedule *schedule = schedule_of((const uint32_t[]){200, 40, 40}, 3, of);

    EXPECT(schedule->length == 7);
    free(schedule);
    schedule = schedule_of((const uint32_t[]){256, 256, 256}, 3, of);
    EXPECT(schedule->length == 3);
    free(schedule);
}

/* The plain form of the algorithm, which looks at every server in every turn. */
static void expect_same_as_plain(const struct schedule *schedule, const uint32_t *weight,
                                 size_t count)
{
    int64_t credit[MOST] = {0};

    for (uint32_t turn = 0; turn < schedule->length; turn++) {
        size_t best = 0;
        for (size_t i = 0; i < count; i++) {
            credit[i] += weight[i];
            if (credit[i] > credit[best])
                best = i;
        }
        credit[best] -= schedule->length;
        EXPECT(schedule->server[turn] == best);
    }
}

static size_t random_weights(struct random *random, uint32_t *ret_weight)
{
    size_t count = 1 + (size_t)random_below(random, MOST);
    uint64_t largest = (const uint64_t[]){1, 3, 10, 256}[random_below(random, 4)];

    for (size_t i = 0; i < count; i++)
        ret_weight[i] = 1 + (uint32_t)random_below(random, largest);
    return count;
}

TEST(groups_give_the_order_of_the_plain_algorithm)
{
    uint32_t weight[MOST], scaled[MOST];
    struct candidate of[MOST];
    struct random random;

    random_init(&random, 6);
    for (unsigned i = 0; i < 300; i++) {
        size_t count = random_weights(&random, weight);
        struct schedule *schedule = schedule_of(weight, count, of);
        EXPECT(scale_weights(of, count, scaled) == schedule->length);
        expect_same_as_plain(schedule, scaled, count);
        free(schedule);
    }
}

/* Over a whole schedule, wherever it begins, each server has exactly its share; and on the way
 * there, at most one and a half turns more or less. */
static void expect_fair(const struct schedule *schedule, const struct candidate *of, size_t count,
                        uint64_t from)
{
    uint64_t got[MOST] = {0}, total = 0;

    for (size_t i = 0; i < count; i++)
        total += of[i].weight;
    for (uint64_t turn = 0; turn < schedule->length; turn++) {
        got[choose_at(schedule, of, count, from + turn)]++;
        for (size_t i = 0; from == 0 && i < count; i++) {
            int64_t off = (int64_t)(got[i] * total) - (int64_t)((turn + 1) * of[i].weight);
            EXPECT(2 * off <= 3 * (int64_t)total && 2 * off >= -3 * (int64_t)total);
        }
    }
    for (size_t i = 0; i < count; i++)
        EXPECT(got[i] * total == (uint64_t)schedule->length * of[i].weight);
}

/* A server of weight w among T waits less than two of its fair intervals. (T/w rounded up, plus
 * one, as one might wish, is not what the smooth order gives: {2, 50, 42, 46, 32, 17, 25, 33, 1}
 * lets the first wait 148.) */
static void expect_smooth(const struct schedule *schedule, const struct candidate *of, size_t count)
{
    uint64_t last[MOST] = {0}, total = 0;

    for (size_t i = 0; i < count; i++)
        total += of[i].weight;
    for (uint64_t turn = 0; turn < 2 * (uint64_t)schedule->length; turn++) {
        size_t server = choose_at(schedule, of, count, turn);
        if (last[server])
            EXPECT((turn + 1 - last[server]) * of[server].weight < 2 * total + of[server].weight);
        last[server] = turn + 1;
    }
}

TEST(shares_are_exact_and_turns_are_spread)
{
    uint32_t weight[MOST];
    struct candidate of[MOST];
    struct random random;

    random_init(&random, 7);
    for (unsigned i = 0; i < 300; i++) {
        size_t count = random_weights(&random, weight);
        struct schedule *schedule = schedule_of(weight, count, of);
        expect_fair(schedule, of, count, 0);
        expect_fair(schedule, of, count, random_next(&random) >> 1);
        expect_smooth(schedule, of, count);
        free(schedule);
    }
}

TEST(the_turn_of_a_closed_server_goes_to_the_next_in_the_order)
{
    struct candidate of[3];
    struct schedule *schedule = schedule_of((const uint32_t[]){5, 1, 1}, 3, of);

    of[0].is_open = false; /* a a b a c a a */
    EXPECT(choose_at(schedule, of, 3, 0) == 1 && choose_at(schedule, of, 3, 2) == 1);
    EXPECT(choose_at(schedule, of, 3, 3) == 2 && choose_at(schedule, of, 3, 5) == 1);
    free(schedule);
}

/* Ten thousand servers of all weights would make 1.3 million turns. */
TEST(a_schedule_is_bounded_and_its_shares_nearly_right)
{
    enum { COUNT = 10000 };
    struct candidate *of = calloc(COUNT, sizeof *of);
    uint32_t *got = calloc(COUNT, sizeof *got);
    void *prepared = NULL;
    uint64_t total = 0;

    for (uint32_t i = 0; i < COUNT; i++) {
        of[i] = (struct candidate){.weight = 1 + i % 256, .is_open = true};
        total += of[i].weight;
    }
    EXPECT(prepare(of, COUNT, &prepared) == 0);
    const struct schedule *schedule = prepared;
    EXPECT(schedule->length <= SCHEDULE_MAX && schedule->length > SCHEDULE_MAX / 2);
    for (uint32_t turn = 0; turn < schedule->length; turn++)
        got[schedule->server[turn]]++;
    for (size_t i = 0; i < COUNT; i++) {
        double exact = (double)of[i].weight * schedule->length / (double)total;
        EXPECT(got[i] >= 1 && (double)got[i] > exact - 2 && (double)got[i] < exact + 2);
    }
    free(prepared);
    free(got);
    free(of);
}
