/* What was changed at run time lies over what the configuration says, server by server, and holds
 * until the configuration says something new of that very server: an operator's hand is not undone
 * by a reload for another reason, and never wins over a file that was edited after it. */
#include "pool/pool_priv.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

static struct changed *find(const struct changes *changes, const struct address *address)
{
    for (size_t i = 0; i < changes->count; i++)
        if (address_equal(&changes->at[i].now.address, address))
            return &changes->at[i];
    return NULL;
}

static void drop(struct changes *changes, struct changed *entry)
{
    *entry = changes->at[--changes->count];
}

static bool says_nothing(const struct changed *entry)
{
    return !entry->is_added && !entry->is_removed && !entry->has_weight &&
           !entry->has_max_connections && entry->admin == SERVER_UP;
}

/* The entry of that server, made if need be. NULL: no memory. */
static struct changed *obtain(struct changes *changes, const struct address *address,
                              const struct pool_member_spec *named)
{
    struct changed *entry = find(changes, address);

    if (entry)
        return entry;
    if (changes->count == changes->room) {
        size_t room = changes->room ? 2 * changes->room : 8;
        struct changed *more = reallocarray(changes->at, room, sizeof *more);
        if (!more)
            return NULL;
        changes->at = more;
        changes->room = room;
    }
    entry = &changes->at[changes->count++];
    *entry = (struct changed){.was_named = named, .now.address = *address};
    if (named)
        entry->file = entry->now = *named;
    return entry;
}

/* A server that comes back begins as it was asked for, or as the file has it. */
static void note_added(struct changed *entry, const struct pool_member_spec *member)
{
    bool was_named = entry->was_named;

    *entry = (struct changed){
        .file = entry->file, .now = *member, .was_named = was_named, .is_added = !was_named};
    if (!was_named)
        return;
    entry->has_weight = member->weight != entry->file.weight;
    entry->has_max_connections = member->max_connections != entry->file.max_connections;
    entry->now.is_backup = entry->file.is_backup;
}

int changes_note(struct changes *changes, const struct pool_change *change,
                 const struct pool_member_spec *named, bool is_member)
{
    if (change->what == CHANGE_ADD && is_member)
        return -EEXIST;
    if (change->what != CHANGE_ADD && !is_member)
        return -ENOENT;
    if (change->member.weight > BALANCER_WEIGHT_MAX)
        return -EINVAL;
    struct changed *entry = obtain(changes, &change->member.address, named);
    if (!entry)
        return -ENOMEM;
    switch (change->what) {
    case CHANGE_ADD:
        note_added(entry, &change->member);
        break;
    case CHANGE_REMOVE:
        *entry = (struct changed){.file = entry->file,
                                  .now.address = change->member.address,
                                  .was_named = entry->was_named,
                                  .is_removed = entry->was_named};
        break;
    case CHANGE_WEIGHT:
        entry->now.weight = change->member.weight;
        entry->has_weight = !entry->was_named || change->member.weight != entry->file.weight;
        break;
    case CHANGE_MAX_CONNECTIONS:
        entry->now.max_connections = change->member.max_connections;
        entry->has_max_connections =
            !entry->was_named || change->member.max_connections != entry->file.max_connections;
        break;
    case CHANGE_STATE:
        entry->admin = (uint8_t)change->admin;
        break;
    }
    if (says_nothing(entry))
        drop(changes, entry);
    return 0;
}

static void lay_over(const struct changed *entry, struct pool_member_spec *member)
{
    if (entry->has_weight)
        member->weight = entry->now.weight;
    if (entry->has_max_connections)
        member->max_connections = entry->now.max_connections;
}

/* Whether what the file says of a server now is news against what it said when it was changed. */
static bool is_overruled(const struct changed *entry, const struct pool_member_spec *named)
{
    return entry->is_added ? named != NULL
                           : !named || named->weight != entry->file.weight ||
                                 named->max_connections != entry->file.max_connections;
}

int changes_apply(const struct changes *changes, const struct pool_member_spec *file, size_t count,
                  struct pool_member_spec **ret_members, size_t *ret_count)
{
    size_t room = count + changes->count, used = 0;
    struct pool_member_spec *members = calloc(room + 1, sizeof *members);
    bool *is_removed = calloc(room + 1, sizeof *is_removed);
    struct slots slots = {0};
    int error = members && is_removed ? slots_make(&slots, room) : -ENOMEM;

    for (size_t i = 0; !error && i < count; i++) {
        uint16_t *slot = slots_find(&slots, members, sizeof *members, &file[i].address);
        members[i] = file[i];
        *slot = *slot ? *slot : (uint16_t)(i + 1); /* of two, members_new complains */
    }
    used = error ? 0 : count;
    for (size_t i = 0; !error && i < changes->count; i++) {
        const struct changed *entry = &changes->at[i];
        uint16_t *slot = slots_find(&slots, members, sizeof *members, &entry->now.address);
        const struct pool_member_spec *named = *slot ? &members[*slot - 1] : NULL;
        if (is_overruled(entry, named))
            continue;
        if (entry->is_added) {
            members[used++] = entry->now;
            *slot = (uint16_t)used;
        } else if (entry->is_removed) {
            is_removed[*slot - 1] = true;
        } else {
            lay_over(entry, &members[*slot - 1]);
        }
    }
    *ret_count = 0;
    for (size_t i = 0; i < used; i++)
        if (!is_removed[i])
            members[(*ret_count)++] = members[i];
    free(slots.at);
    free(is_removed);
    if (!error && *ret_count > POOL_SERVERS_MAX)
        error = -E2BIG;
    if (error)
        free(members);
    else
        *ret_members = members;
    return error;
}

void changes_forget(struct changes *changes, const struct pool_member_spec *file, size_t count)
{
    for (size_t i = changes->count; i-- > 0;) {
        struct changed *entry = &changes->at[i];
        const struct pool_member_spec *named = NULL;
        for (size_t k = 0; k < count && !named; k++)
            if (address_equal(&file[k].address, &entry->now.address))
                named = &file[k];
        if (!is_overruled(entry, named))
            continue;
        if (entry->is_added || !named || entry->admin == SERVER_UP) {
            drop(changes, entry);
            continue;
        }
        *entry = (struct changed){
            .file = *named, .now = *named, .was_named = true, .admin = entry->admin};
    }
}

int changes_copy(const struct changes *changes, struct changes *ret_copy)
{
    *ret_copy = (struct changes){.count = changes->count, .room = changes->count};
    if (!changes->count)
        return 0;
    ret_copy->at = malloc(changes->count * sizeof *ret_copy->at);
    if (!ret_copy->at)
        return -ENOMEM;
    memcpy(ret_copy->at, changes->at, changes->count * sizeof *ret_copy->at);
    return 0;
}

void changes_done(struct changes *changes)
{
    free(changes->at);
    *changes = (struct changes){0};
}
