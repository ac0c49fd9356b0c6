#include "crew.h"

#include "proxy/drains.c"

static unsigned freed;

static void note_free(void *by)
{
    EXPECT(by == &freed);
    freed++;
}

static bool is_odd(const struct connection *c, const void *by)
{
    EXPECT(by == &freed);
    return (c->flow.number >> RUNNER_NUMBER_BITS) & 1;
}

static struct drain_spec of_pool(const char *name)
{
    return (struct drain_spec){
        .kind = DRAIN_POOL, .name = name, .reason = REASON_DRAINED, .keeps_out = true};
}

TEST(one_is_found_by_its_number_and_by_what_it_drains_until_it_is_undone)
{
    const struct drain_spec chat = of_pool("chat"), other = of_pool("other");
    struct drain *one, *two;

    crew_begin();
    EXPECT(drains_start(&all_drains, &chat, &one) == 0 &&
           drains_start(&all_drains, &other, &two) == 0);
    turn();
    EXPECT(drains_find(&all_drains, drain_id(one)) == one && !drains_find(&all_drains, 77));
    EXPECT(drains_find_target(&all_drains, DRAIN_POOL, "other") == two);
    EXPECT(!drains_find_target(&all_drains, DRAIN_ROUTE, "other"));
    drains_undo(&all_drains, two);
    EXPECT(!drains_find_target(&all_drains, DRAIN_POOL, "other"));
    EXPECT(drain_spec_of(one)->code == 1012 && strcmp(drain_name(one), "chat") == 0);
    drain_unref(one);
    drain_unref(two);
    crew_end();
}

TEST(there_are_so_many_at_once_and_the_last_that_ended_are_remembered)
{
    const struct drain_spec spec = of_pool("chat");
    struct drain *first = NULL;
    unsigned count = 0;

    crew_begin();
    for (unsigned i = 0; i < DRAINS_MAX; i++)
        EXPECT(drains_start(&all_drains, &spec, i ? NULL : &first) == 0);
    EXPECT(drains_start(&all_drains, &spec, NULL) == -EBUSY);
    turn();
    while (drains_find_target(&all_drains, DRAIN_POOL, "chat"))
        drains_undo(&all_drains, drains_find_target(&all_drains, DRAIN_POOL, "chat"));
    turn();
    EXPECT(drains_start(&all_drains, &spec, NULL) == 0);
    list_each(node, &all_drains.all)
        count++;
    EXPECT(count == DRAINS_ENDED_MAX + 1 && !drains_find(&all_drains, drain_id(first)));
    drain_unref(first);
    crew_end();
}

TEST(what_it_was_given_is_freed_with_it_also_when_it_does_not_begin)
{
    struct drain_spec spec = {.kind = DRAIN_CHOSEN,
                              .name = "odd",
                              .chooses = is_odd,
                              .take_by = &freed,
                              .free_by = note_free,
                              .reason = REASON_DRAINED};
    struct drain *drain;

    crew_begin();
    freed = 0;
    for (unsigned i = 0; i < 4; i++)
        join(i, 0, member[i % 3]);
    EXPECT(drains_start(&all_drains, &spec, &drain) == 0);
    turn();
    EXPECT(progress(drain).found == 2);
    drain_unref(drain);
    crew_end();
    EXPECT(freed == 1);

    const struct drain_spec many = of_pool("chat");
    crew_begin();
    for (unsigned i = 0; i < DRAINS_MAX; i++)
        EXPECT(drains_start(&all_drains, &many, NULL) == 0);
    EXPECT(drains_start(&all_drains, &spec, NULL) == -EBUSY && freed == 2);
    crew_end();
}
