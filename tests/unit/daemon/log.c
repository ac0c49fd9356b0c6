#include "daemon/log.c"

#include "test.h"

#include <signal.h>
#include <stdio.h>

#define LINES      20000u
#define READ_BYTES 65536

struct counted {
    uint64_t delivered, lost;
    char last[READ_BYTES];
};

/* Reads whole lines until so many were delivered or said to be lost, or to the end. */
static void count_lines_of(int fd, uint64_t wanted, struct counted *ret_counted)
{
    FILE *file = fdopen(dup(fd), "r");
    char *line = ret_counted->last;

    EXPECT(file);
    *ret_counted = (struct counted){0};
    while (ret_counted->delivered + ret_counted->lost < wanted && fgets(line, READ_BYTES, file)) {
        EXPECT(line[strlen(line) - 1] == '\n');
        if (strstr(line, "are lost"))
            ret_counted->lost += strtoull(strstr(line, "words=") + 7, NULL, 10);
        else
            ret_counted->delivered++;
    }
    fclose(file);
}

static int open_on_pipe(struct log_sink *sink, int ends[2])
{
    char path[32];

    EXPECT(pipe(ends) == 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
    return log_open(sink, path, LEVEL_INFO, FORMAT_TEXT);
}

TEST(whoever_logs_does_not_wait_and_losses_are_said)
{
    static struct counted counted;
    struct log_sink sink;
    int ends[2];
    char words[200];

    EXPECT(open_on_pipe(&sink, ends) == 0);
    memset(words, 'w', sizeof words);
    for (unsigned i = 0; i < LINES; i++) /* four times what fits; nobody reads */
        log_say(&sink.log, EVENT_notice, "%.*s", (int)sizeof words, words);

    count_lines_of(ends[0], LINES, &counted);
    EXPECT(counted.lost > 0);
    EXPECT(counted.delivered + counted.lost == LINES);
    EXPECT(log_close(&sink));
    close(ends[0]);
    close(ends[1]);
}

TEST(everything_is_written_before_the_end)
{
    static struct counted counted;
    struct log_sink sink;
    int ends[2];

    EXPECT(open_on_pipe(&sink, ends) == 0);
    for (int i = 0; i < 500; i++)
        log_say(&sink.log, EVENT_notice, "line-%d", i);
    EXPECT(log_close(&sink));
    close(ends[1]);
    count_lines_of(ends[0], UINT64_MAX, &counted);
    EXPECT(counted.delivered == 500);
    EXPECT(strstr(counted.last, "line-499"));
    close(ends[0]);
}

TEST(a_reader_that_hangs_does_not_keep_us_from_another_file)
{
    static struct log_sink sink; /* outlives the test: its writer hangs */
    char path[] = "/tmp/turnout-log-XXXXXX", read_back[64] = "";
    int ends[2], file = mkstemp(path);

    EXPECT(file >= 0);
    EXPECT(open_on_pipe(&sink, ends) == 0);
    for (unsigned i = 0; i < LINES; i++)
        log_say(&sink.log, EVENT_notice, "%0200u", i);
    EXPECT(log_reopen(&sink, "/nowhere/at/all") == -ENOENT);
    EXPECT(log_reopen(&sink, path) == 0); /* at once, though the writer hangs in the pipe */
    close(ends[1]);
    close(ends[0]); /* now it gets EPIPE, and goes on */
    EXPECT(log_close(&sink));
    EXPECT(read(file, read_back, sizeof read_back - 1) > 0);
    EXPECT(strstr(read_back, "Z notice words=0000"));
    unlink(path);
    close(file);
}

TEST(what_is_left_can_be_dumped)
{
    struct log_sink sink = {.next_fd = NONE};
    char text[16] = "";
    int ends[2];

    EXPECT(pipe(ends) == 0);
    sink.fd = ends[1];
    EXPECT(spool_init(&sink.spool, 8) == 0);
    spool_push(&sink.spool, bytes_of("12345"));
    uint64_t lost;
    uint8_t taken[3];
    EXPECT(spool_take(&sink.spool, taken, 3, &lost) == 3);
    spool_push(&sink.spool, bytes_of("6789a")); /* round the end of the circle */
    log_dump(&sink);
    EXPECT(read(ends[0], text, sizeof text) == 7);
    EXPECT(strcmp(text, "456789a") == 0);
    spool_done(&sink.spool);
    close(ends[0]);
    close(ends[1]);
}

__attribute__((constructor)) static void ignore_broken_pipes(void)
{
    signal(SIGPIPE, SIG_IGN);
}
