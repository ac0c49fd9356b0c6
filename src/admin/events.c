/* One line is
 *     {"time":"2026-11-25T08:00:00.123456Z","clock_usec":N,"connection":N,"flow":"tunnel","from":"dial","to":"ask"}
 * `from` is null when the flow has just begun; `to` is null when it has left, and `reason` says
 * why. Names are the program's own, so nothing needs escaping. */
#include "admin/events.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>

#define LINE_BYTES 320

void events_begin(struct events *events, unsigned i, const struct runner *runner)
{
    events->seen[i] = ring_written(&runner->ring);
}

static int put_chunk(struct buf *out, const char *line)
{
    char chunk[LINE_BYTES + 16];

    snprintf(chunk, sizeof chunk, "%zx\r\n%s\r\n", strlen(line), line);
    return buf_append(out, bytes_of(chunk));
}

/* A step's name in quotes, or null. */
static const char *quoted(const struct flow_kind *kind, unsigned step, char to[48])
{
    snprintf(to, 48, step < kind->step_count ? "\"%s\"" : "null",
             step < kind->step_count ? kind->steps[step].name : "");
    return to;
}

static int put_event(const struct events *events, const struct flow_kind *kind,
                     const struct event *event, struct buf *out)
{
    char time[LOG_TIME_BYTES], from[48], to[48], why[64] = "", line[LINE_BYTES];

    log_time_write(event->usec + events->wall_offset_usec, time);
    if (event->to_step == EVENT_NO_STEP)
        snprintf(why, sizeof why, ",\"reason\":\"%s\"", reason_row(event->reason)->name);
    snprintf(line, sizeof line,
             "{\"time\":\"%s\",\"clock_usec\":%llu,\"connection\":%llu,\"flow\":\"%s\",\"from\":%s,"
             "\"to\":%s%s}\n",
             time, (unsigned long long)event->usec, (unsigned long long)event->flow_number,
             kind->name, quoted(kind, event->from_step, from), quoted(kind, event->to_step, to),
             why);
    return put_chunk(out, line);
}

static int put_lost(uint64_t lost, struct buf *out)
{
    char line[LINE_BYTES];

    snprintf(line, sizeof line, "{\"lost\":%llu}\n", (unsigned long long)lost);
    return put_chunk(out, line);
}

static bool is_wanted(const struct events *events, const struct event *event)
{
    return !events->connection || events->connection == event->flow_number;
}

int events_put(struct events *events, unsigned i, const struct runner *runner, struct buf *out)
{
    uint64_t written = ring_written(&runner->ring), slots = runner->ring.mask + 1, lost = 0;
    struct event event;

    if (written - events->seen[i] > slots) { /* no need to ask for each of them */
        lost = written - slots - events->seen[i];
        events->seen[i] = written - slots;
    }
    for (; events->seen[i] < written; events->seen[i]++) {
        if (!ring_read(&runner->ring, events->seen[i], &event)) {
            lost++;
            continue;
        }
        const struct flow_kind *kind = runner_kind(runner, event.kind);
        if (!kind || !is_wanted(events, &event))
            continue;
        if (buf_bytes(out).len > EVENTS_MAX_BYTES)
            lost++;
        else if (put_event(events, kind, &event, out))
            return -ENOMEM;
    }
    return lost && put_lost(lost, out) ? -ENOMEM : 0;
}
