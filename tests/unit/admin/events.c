#include "admin/events.c"

#include "test.h"

#include <stdlib.h>

static const struct flow_step steps[] = {{"read_head", NULL}, {"dial", NULL}};
static const struct flow_kind tunnel = {.name = "tunnel", .steps = steps, .step_count = 2};

#define SLOTS_LOG2 10

/* Of a runner, only what a reader on another thread may touch. */
static struct runner *runner_begin(void)
{
    struct runner *runner = calloc(1, sizeof *runner);

    EXPECT(runner && ring_init(&runner->ring, SLOTS_LOG2) == 0);
    atomic_init(&runner->stats[0].kind, &tunnel);
    return runner;
}

static void runner_end(struct runner *runner)
{
    ring_done(&runner->ring);
    free(runner);
}

static void happens(struct runner *runner, uint64_t number, uint8_t from, uint8_t to,
                    uint8_t reason)
{
    ring_write(&runner->ring, &(struct event){.usec = 1000000,
                                              .flow_number = number,
                                              .from_step = from,
                                              .to_step = to,
                                              .reason = reason});
}

/* One line as one chunk; none for "". */
static void expect_out(struct buf *out, const char *line)
{
    char wanted[512] = "";

    if (*line)
        snprintf(wanted, sizeof wanted, "%zx\r\n%s\n\r\n", strlen(line) + 1, line);
    EXPECT(bytes_equal(buf_bytes(out), bytes_of(wanted)));
    buf_done(out);
}

TEST(a_flow_begins_moves_and_ends)
{
    struct runner *runner = runner_begin();
    struct events events = {.wall_offset_usec = 1795593600000000u};
    struct buf out;

    buf_init(&out, 1u << 20);
    happens(runner, 7, EVENT_NO_STEP, 0, 0); /* before: not ours */
    events_begin(&events, 0, runner);
    EXPECT(events_put(&events, 0, runner, &out) == 0);
    expect_out(&out, "");
    happens(runner, 8, EVENT_NO_STEP, 0, 0);
    EXPECT(events_put(&events, 0, runner, &out) == 0);
    expect_out(&out, "{\"time\":\"2026-11-25T08:00:01.000000Z\",\"clock_usec\":1000000,"
                     "\"connection\":8,\"flow\":\"tunnel\","
                     "\"from\":null,\"to\":\"read_head\"}");
    happens(runner, 8, 0, 1, 0);
    EXPECT(events_put(&events, 0, runner, &out) == 0);
    expect_out(&out, "{\"time\":\"2026-11-25T08:00:01.000000Z\",\"clock_usec\":1000000,"
                     "\"connection\":8,\"flow\":\"tunnel\","
                     "\"from\":\"read_head\",\"to\":\"dial\"}");
    happens(runner, 8, 1, EVENT_NO_STEP, REASON_CLIENT_LEFT);
    EXPECT(events_put(&events, 0, runner, &out) == 0);
    expect_out(&out, "{\"time\":\"2026-11-25T08:00:01.000000Z\",\"clock_usec\":1000000,"
                     "\"connection\":8,\"flow\":\"tunnel\","
                     "\"from\":\"dial\",\"to\":null,\"reason\":\"CLIENT_LEFT\"}");
    runner_end(runner);
}

TEST(only_the_wanted_connection_is_told)
{
    struct runner *runner = runner_begin();
    struct events events = {.connection = 9};
    struct buf out;

    buf_init(&out, 1u << 20);
    for (uint64_t number = 7; number < 12; number++)
        happens(runner, number, 0, 1, 0);
    EXPECT(events_put(&events, 0, runner, &out) == 0);
    EXPECT(bytes_find(buf_bytes(&out), bytes_of("\"connection\":9,"), 0) < buf_bytes(&out).len);
    EXPECT(bytes_find(buf_bytes(&out), bytes_of("\n\r\n"), 0) ==
           buf_bytes(&out).len - 3); /* one line */
    buf_done(&out);
    runner_end(runner);
}

/* Each transition is either a line or counted in a `lost` line. */
static uint64_t account(struct buf *out)
{
    struct bytes rest = buf_bytes(out);
    uint64_t total = 0;

    while (rest.len) {
        size_t end = bytes_find(rest, bytes_of("\n\r\n"), 0),
               at = bytes_find(rest, bytes_of("{\"lost\":"), 0);
        total += at < end ? strtoull((const char *)rest.at + at + 8, NULL, 10) : 1;
        rest = bytes_from(rest, end + 3);
    }
    return total;
}

TEST(what_was_overwritten_is_counted)
{
    struct runner *runner = runner_begin();
    struct events events = {0};
    const uint64_t count = 5u << SLOTS_LOG2;
    struct buf out;

    buf_init(&out, 1u << 20);
    for (uint64_t i = 0; i < count; i++)
        happens(runner, i, 0, 1, 0);
    EXPECT(events_put(&events, 0, runner, &out) == 0);
    EXPECT(account(&out) == count);
    EXPECT(bytes_find(buf_bytes(&out), bytes_of("{\"lost\":"), 0) < buf_bytes(&out).len);
    buf_done(&out);
    EXPECT(events_put(&events, 0, runner, &out) == 0 && buf_is_empty(&out));
    runner_end(runner);
}

TEST(a_reader_that_takes_nothing_costs_bounded_memory)
{
    struct runner *runner = runner_begin();
    struct events events = {0};
    uint64_t count = 0;
    struct buf out;

    buf_init(&out, 16u << 20);
    for (unsigned turn = 0; turn < 20; turn++) {
        for (unsigned i = 0; i < 500; i++, count++)
            happens(runner, count, 0, 1, 0);
        EXPECT(events_put(&events, 0, runner, &out) == 0);
        EXPECT(buf_bytes(&out).len < EVENTS_MAX_BYTES + 2 * LINE_BYTES * turn + 2 * LINE_BYTES);
    }
    EXPECT(account(&out) == count);
    buf_done(&out);
    runner_end(runner);
}
