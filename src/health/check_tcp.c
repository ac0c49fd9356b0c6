/* Whether anything listens. It does not see the application: a program that hangs still has its
 * connections accepted by the kernel. */
#include "health/checker.h"

static enum talk_next begin(struct talk *talk)
{
    return talk_end(talk, REASON_DONE);
}

const struct checker checker_tcp = {
    .name = "tcp",
    .help = "a connection is accepted",
    .kind = CHECK_TCP,
    .is_left_rudely = true,
    .begin = begin,
    .hear = begin,
};
