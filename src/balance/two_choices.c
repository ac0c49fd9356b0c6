/* The power of two choices (Mitzenmacher, 2001): draw two servers, keep the one with less to do for
 * its weight. Nearly as even as least_connections without looking at everyone, and several nodes
 * that see different counts do not all run to the same server. Drawn by weight, so that a small
 * server is not compared, and chosen, as often as a large one: two look-ups in an alias table
 * (Walker, 1977; Vose, 1991). */
#include "balance/balancer.h"

#include "balance/mix.h"

#include <errno.h>
#include <stdlib.h>

#define DRAWS                                                                                      \
    8 /* that may meet a closed server, or the first one again, before all are looked at */

/* Column i is server i up to `mine` of the total weight, and `other` above: all columns are equally
 * likely. */
struct column {
    uint64_t mine;
    uint32_t other;
};
struct alias {
    uint64_t total;
    struct column column[];
};

/* Shares are in units of total / count: a column that has less than the total is filled up by one
 * that has more. `poor` and `rich` are stacks in one array, from both ends. */
static void fill(struct alias *alias, size_t count, uint32_t *stack)
{
    size_t poor = 0, rich = count;

    for (size_t i = 0; i < count; i++)
        stack[alias->column[i].mine < alias->total ? poor++ : --rich] = (uint32_t)i;
    while (poor > 0 && rich < count) {
        uint32_t from = stack[rich++], to = stack[--poor];
        struct column *giver = &alias->column[from], *taker = &alias->column[to];
        taker->other = from;
        giver->mine -= alias->total - taker->mine;
        if (giver->mine < alias->total)
            stack[poor++] = from;
        else
            stack[--rich] = from;
    }
}

static int prepare(const struct candidate *of, size_t count, void **ret_prepared)
{
    struct alias *alias = malloc(sizeof *alias + count * sizeof alias->column[0]);
    uint32_t *stack = calloc(count + 1, sizeof *stack);

    if (!alias || !stack) {
        free(alias);
        free(stack);
        return -ENOMEM;
    }
    alias->total = 0;
    for (size_t i = 0; i < count; i++) {
        alias->total += of[i].weight;
        alias->column[i] = (struct column){(uint64_t)of[i].weight * count, (uint32_t)i};
    }
    fill(alias, count, stack);
    free(stack);
    *ret_prepared = alias;
    return 0;
}

static size_t draw_any(const struct alias *alias, size_t count, uint64_t random)
{
    size_t i = (size_t)mix_below(mix_pair(random, 1), count);
    uint64_t at = mix_below(mix_pair(random, 2), alias->total);

    return at < alias->column[i].mine ? i : alias->column[i].other;
}

/* By weight, from all that are open but one. */
static size_t draw_from_all(const struct candidate *of, size_t count, size_t but, uint64_t random)
{
    uint64_t total = 0;

    for (size_t i = 0; i < count; i++)
        total += of[i].is_open && i != but ? of[i].weight : 0;
    if (total == 0)
        return BALANCER_NONE;
    uint64_t at = mix_below(mix64(random), total);
    for (size_t i = 0;; i++) {
        uint64_t weight = of[i].is_open && i != but ? of[i].weight : 0;
        if (at < weight)
            return i;
        at -= weight;
    }
}

static size_t draw(const struct alias *alias, const struct candidate *of, size_t count, size_t but,
                   uint64_t random)
{
    for (uint64_t i = 0; i < DRAWS; i++) {
        size_t drawn = draw_any(alias, count, mix_pair(random, i));
        if (of[drawn].is_open && drawn != but)
            return drawn;
    }
    return draw_from_all(of, count, but, random);
}

static size_t choose(const void *prepared, const struct candidate *of, size_t count,
                     const struct pick *pick)
{
    if (count == 0)
        return BALANCER_NONE;
    size_t a = draw(prepared, of, count, BALANCER_NONE, pick->random);
    if (a == BALANCER_NONE)
        return BALANCER_NONE;
    size_t b = draw(prepared, of, count, a, ~pick->random);
    if (b == BALANCER_NONE)
        return a;
    return (uint64_t)of[b].active * of[a].weight < (uint64_t)of[a].active * of[b].weight ? b : a;
}

extern const struct balancer balancer_two_choices;
const struct balancer balancer_two_choices = {
    .name = "two_choices",
    .help = "of two servers drawn by weight, the one that serves fewer connections for its weight",
    .because = "the quieter of two that were drawn",
    .prepare = prepare,
    .discard = free,
    .choose = choose,
};
