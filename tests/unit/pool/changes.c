/* What lies over what. */
#include "pool/changes.c"

#include "test.h"

#include <stdio.h>

static struct pool_member_spec at(unsigned port, uint32_t weight)
{
    struct pool_member_spec spec = {.weight = weight};
    char text[ADDRESS_TEXT_BYTES];

    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    EXPECT(address_parse(text, &spec.address) == 0);
    return spec;
}

static int note(struct changes *changes, enum pool_change_kind what, struct pool_member_spec member,
                const struct pool_member_spec *named, bool is_member)
{
    const struct pool_change change = {.what = what, .member = member};

    return changes_note(changes, &change, named, is_member);
}

/* "1:5 2:1": port and weight of each. */
static const char *applied(const struct changes *changes, const struct pool_member_spec *file,
                           size_t count)
{
    static char text[200];
    struct pool_member_spec *members = NULL;
    size_t made = 0, used = 0;

    EXPECT(changes_apply(changes, file, count, &members, &made) == 0);
    text[0] = 0;
    for (size_t i = 0; i < made; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%u:%u", i ? " " : "",
                                 ntohs(members[i].address.v4.sin_port), members[i].weight);
    free(members);
    return text;
}

static void expect(const struct changes *changes, const struct pool_member_spec *file, size_t count,
                   const char *wanted)
{
    const char *got = applied(changes, file, count);

    if (strcmp(got, wanted) != 0)
        fprintf(stderr, "got \"%s\", wanted \"%s\"\n", got, wanted);
    EXPECT(strcmp(got, wanted) == 0);
}

TEST(changes_lie_over_the_file)
{
    const struct pool_member_spec file[] = {at(1, 1), at(2, 1), at(3, 1)};
    struct changes changes = {0};

    EXPECT(note(&changes, CHANGE_WEIGHT, at(1, 5), &file[0], true) == 0);
    EXPECT(note(&changes, CHANGE_REMOVE, at(2, 0), &file[1], true) == 0);
    EXPECT(note(&changes, CHANGE_ADD, at(4, 7), NULL, false) == 0);
    expect(&changes, file, 3, "1:5 3:1 4:7");
    changes_forget(&changes, file, 3); /* a reload of the same file */
    expect(&changes, file, 3, "1:5 3:1 4:7");
    changes_done(&changes);
}

TEST(what_the_file_says_anew_wins_for_that_server_alone)
{
    const struct pool_member_spec file[] = {at(1, 1), at(2, 1), at(3, 1)};
    const struct pool_member_spec new[] = {at(1, 2), at(3, 1), at(4, 9)};
    struct changes changes = {0};

    note(&changes, CHANGE_WEIGHT, at(1, 5), &file[0], true);
    note(&changes, CHANGE_REMOVE, at(2, 0), &file[1], true);
    note(&changes, CHANGE_WEIGHT, at(3, 6), &file[2], true);
    note(&changes, CHANGE_ADD, at(4, 7), NULL, false);
    expect(&changes, new, 3, "1:2 3:6 4:9");
    expect(&changes, file, 3, "1:5 3:6 4:7"); /* that file was refused, say */
    changes_forget(&changes, new, 3);
    expect(&changes, file, 3, "1:1 2:1 3:6");
    EXPECT(changes.count == 1);
    changes_done(&changes);
}

TEST(what_is_undone_leaves_nothing)
{
    const struct pool_member_spec file[] = {at(1, 1), at(2, 1)};
    struct changes changes = {0};

    note(&changes, CHANGE_WEIGHT, at(1, 5), &file[0], true);
    note(&changes, CHANGE_WEIGHT, at(1, 1), &file[0], true);
    note(&changes, CHANGE_REMOVE, at(2, 0), &file[1], true);
    note(&changes, CHANGE_ADD, at(2, 1), &file[1], false);
    note(&changes, CHANGE_ADD, at(3, 1), NULL, false);
    note(&changes, CHANGE_REMOVE, at(3, 0), NULL, true);
    EXPECT(changes.count == 0);
    expect(&changes, file, 2, "1:1 2:1");
    changes_done(&changes);
}

TEST(what_cannot_be_is_refused_and_noted_nowhere)
{
    const struct pool_member_spec file[] = {at(1, 1)};
    struct changes changes = {0};

    EXPECT(note(&changes, CHANGE_ADD, at(1, 1), &file[0], true) == -EEXIST);
    EXPECT(note(&changes, CHANGE_REMOVE, at(2, 1), NULL, false) == -ENOENT);
    EXPECT(note(&changes, CHANGE_WEIGHT, at(1, 257), &file[0], true) == -EINVAL);
    EXPECT(changes.count == 0);
    changes_done(&changes);
}

TEST(a_server_that_comes_back_may_weigh_something_else)
{
    const struct pool_member_spec file[] = {at(1, 1), at(2, 1)};
    struct changes changes = {0};

    note(&changes, CHANGE_REMOVE, at(2, 0), &file[1], true);
    note(&changes, CHANGE_ADD, at(2, 8), &file[1], false);
    expect(&changes, file, 2, "1:1 2:8");
    changes_done(&changes);
}
