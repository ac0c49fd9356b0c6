/* A worker's pipes. A lane holds one only while bytes are in it, so in the steady state one pipe
 * serves all lanes, one after the other; only readers that do not keep up hold more.
 *
 * What always holds: a pipe that is not taken is empty. So one that still holds bytes when its lane
 * ends is closed, never given back. */
#include "relay/relay_priv.h"

#include "base/check.h"
#include "sys/sys.h"

#include <errno.h>

#define PIPE_BYTES       262144
#define PIPE_LEAST_BYTES 65536 /* what the kernel gives unasked; a poor user gets less */
#define PIPES_AT_REST    4u    /* more are closed again */

static void close_pipe(struct relay_worker *shared, struct relay_pipe *pipe)
{
    sys_close(pipe->fd[0]);
    sys_close(pipe->fd[1]);
    *pipe = (struct relay_pipe){0};
    shared->pipes_open--;
}

/* The last descriptors of the process are for control: a pipe takes none of them. */
static int open_pipe(struct relay *relay, struct relay_pipe *pipe)
{
    int ceiling = loop_of(relay->owner)->descriptor_ceiling;
    int size = sys_pipe_open(pipe->fd, PIPE_BYTES);
    if (size < 0)
        return size;

    pipe->is_open = true;
    relay->shared->pipes_open++;
    int error = size < PIPE_LEAST_BYTES                                         ? -ENOBUFS
                : ceiling && (pipe->fd[0] >= ceiling || pipe->fd[1] >= ceiling) ? -EMFILE
                                                                                : 0;
    if (error)
        close_pipe(relay->shared, pipe);
    return error;
}

/* One that rests; else a place for a new one; NULL: neither. */
static struct relay_pipe *find_pipe(struct relay_worker *shared)
{
    struct relay_pipe *place = NULL;

    for (unsigned i = 0; i < RELAY_PIPES_MAX; i++) {
        struct relay_pipe *pipe = &shared->pipes[i];
        if (pipe->is_open && !pipe->is_taken)
            return pipe;
        if (!pipe->is_open && !place)
            place = pipe;
    }
    return place;
}

bool lane_pipe_take(struct relay *relay, unsigned lane)
{
    struct relay_worker *shared = relay->shared;
    struct relay_pipe *pipe = find_pipe(shared);

    CHECK(!relay->pipe[lane]);
    shared->pipe_error = !pipe ? -EBUSY : pipe->is_open ? 0 : open_pipe(relay, pipe);
    if (shared->pipe_error)
        return false;
    pipe->is_taken = true;
    shared->pipes_taken++;
    relay->pipe[lane] = (uint8_t)(pipe - shared->pipes + 1);
    return true;
}

void lane_pipe_count(struct relay *relay, unsigned lane)
{
    struct relay_pipe *pipe = lane_pipe(relay, lane);

    relay->shared->unsent_bytes += pipe->bytes;
    relay->shared->unsent_bytes -= pipe->stuck_bytes;
    pipe->stuck_bytes = pipe->bytes;
}

void lane_pipe_drop(struct relay *relay, unsigned lane)
{
    struct relay_worker *shared = relay->shared;
    struct relay_pipe *pipe = lane_pipe(relay, lane);

    if (!pipe)
        return;
    relay->pipe[lane] = 0;
    shared->unsent_bytes -= pipe->stuck_bytes;
    pipe->stuck_bytes = 0;
    pipe->is_taken = false;
    shared->pipes_taken--;
    if (pipe->bytes || shared->pipes_open - shared->pipes_taken > PIPES_AT_REST)
        close_pipe(shared, pipe);
}

bool pipes_are_short(const struct relay_worker *shared)
{
    return shared->pipes_taken == RELAY_PIPES_MAX;
}

void relay_worker_done(struct relay_worker *shared)
{
    CHECK(shared->pipes_taken == 0);
    for (unsigned i = 0; i < RELAY_PIPES_MAX; i++)
        if (shared->pipes[i].is_open)
            close_pipe(shared, &shared->pipes[i]);
}
