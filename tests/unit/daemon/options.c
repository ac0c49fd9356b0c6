#include "daemon/options.c"

#include "test.h"

#include <fcntl.h>
#include <unistd.h>

static const struct command all = {.name = "all",
                                   .arguments = "X",
                                   .help = "h",
                                   .example = "e",
                                   .takes = "cltbwajHnsFN",
                                   .wants = "F"};

struct result {
    bool runs;
    int code;
    struct options options;
    char said[2048]; /* on stdout and stderr */
};

/* Parses words divided by blanks. */
static struct result parse(const struct command *command, const char *line)
{
    struct result result = {0};
    static char words[256]; /* as argv does, it outlives us */
    char *argv[32] = {0};
    int argc = 0, out = dup(1), err = dup(2), ends[2];

    snprintf(words, sizeof words, "all %s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    EXPECT(pipe(ends) == 0);
    fflush(NULL);
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    result.runs = options_parse(command, argc, argv, &result.options, &result.code);
    fflush(NULL);
    dup2(out, 1);
    dup2(err, 2);
    close(out);
    close(err);
    close(ends[1]);
    EXPECT(read(ends[0], result.said, sizeof result.said - 1) >= 0);
    close(ends[0]);
    return result;
}

TEST(options_are_taken_in_any_order)
{
    struct result r = parse(
        &all,
        "--listen a file --listen b -t c --json --header N:V -w 3 --balance x --show -n me 17");

    EXPECT(r.runs);
    EXPECT(r.options.listen_count == 2 && strcmp(r.options.listen[1], "b") == 0);
    EXPECT(r.options.to_count == 1 && r.options.header_count == 1 && r.options.is_json &&
           r.options.shows);
    EXPECT(r.options.workers == 3 && r.options.number == 17);
    EXPECT(strcmp(r.options.file, "file") == 0 && strcmp(r.options.balance, "x") == 0);
    EXPECT(strcmp(r.options.name, "me") == 0);
    EXPECT(*r.said == '\0');
}

TEST(what_is_wrong_is_said_with_what_to_write)
{
    static const struct {
        const char *line, *words;
    } rows[] = {
        {"", "FILE is missing: a configuration file: turnout.yaml"},
        {"f 1 2", "\"2\" is one argument too many"},
        {"f x", "\"x\" will not do for N, which wants a connection's number: 4711"},
        {"f 18446744073709551616", "will not do for N"},
        {"f --workers 65",
         "\"65\" will not do for --workers, which wants a number of threads up to 64"},
        {"f --workers -1", "\"-1\" will not do for --workers"},
        {"f --header bad", "\"bad\" will not do for --header, which wants a name and a value"},
        {"f --listen", "--listen wants an address: --listen 127.0.0.1:8080"},
        {"f -c", "-c wants a file: -c turnout.yaml"},
        {"f --wrong", "there is no option --wrong"},
        {"f -F", "there is no option -F"},
        {"f -jx", "there is no option -x"},
        {"f --json=3", "--json takes no value"},
        {"f -o", "there is no option -o"},
        {"f -m", "there is no option -m"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct result r = parse(&all, rows[i].line);
        EXPECT(!r.runs && r.code == 2);
        if (!strstr(r.said, rows[i].words))
            print_error("%s: %s\n", rows[i].line, r.said);
        EXPECT(strstr(r.said, rows[i].words));
        EXPECT(strstr(r.said, "usage: turnout all X\n"));
    }
}

TEST(each_command_knows_its_own_options)
{
    const struct command run = {"run", "-c FILE", "h", "e", "c", "c", NULL, NULL};
    struct result r = parse(&run, "-c f");

    EXPECT(r.runs && strcmp(r.options.config, "f") == 0);
    r = parse(&run, "--json -c f");
    EXPECT(!r.runs && r.code == 2 && strstr(r.said, "--json is no option of this command"));
    r = parse(&run, "");
    EXPECT(!r.runs && strstr(r.said, "-c is missing: a file: -c turnout.yaml"));
    r = parse(&run, "--help");
    EXPECT(!r.runs && r.code == 0 && strstr(r.said, "usage: turnout run -c FILE\n  h\n  e.g. e\n"));
}

TEST(the_admin_address_comes_from_the_option_then_the_environment)
{
    unsetenv("TURNOUT_ADMIN");
    struct result r = parse(&all, "f");
    EXPECT(strcmp(r.options.admin, "unix:/run/turnout.sock") == 0 && !r.options.admin_is_given);
    setenv("TURNOUT_ADMIN", "unix:/e", 1);
    r = parse(&all, "f");
    EXPECT(strcmp(r.options.admin, "unix:/e") == 0 && r.options.admin_is_given);
    r = parse(&all, "f --admin unix:/o");
    EXPECT(strcmp(r.options.admin, "unix:/o") == 0 && r.options.admin_is_given);
}

static const char *given(const struct result *r, const char *name)
{
    const struct client_options client = {.given = r->options.given,
                                          .given_count = r->options.given_count};

    return client_given(&client, name);
}

TEST(what_has_no_field_of_its_own_is_found_by_its_name)
{
    const struct command weigh = {.name = "w",
                                  .arguments = "X",
                                  .help = "h",
                                  .example = "e",
                                  .takes = "SWojria",
                                  .wants = "SW"};
    static const struct {
        const char *line, *words;
    } rows[] = {
        {"", "POOL/ADDRESS is missing: a server: chat/127.0.0.1:9001"},
        {"a/1.2.3.4:5", "WEIGHT is missing"},
        {"1.2.3.4:5 1", "\"1.2.3.4:5\" will not do for POOL/ADDRESS, which wants a server"},
        {"a/1.2.3.4 1", "will not do for POOL/ADDRESS"},
        {"a/b 1", "will not do for POOL/ADDRESS"},
        {"a/1.2.3.4:5 0", "\"0\" will not do for WEIGHT"},
        {"a/1.2.3.4:5 257", "\"257\" will not do for WEIGHT"},
        {"a/1.2.3.4:5 1 --over 5", "\"5\" will not do for --over, which wants a time"},
        {"a/1.2.3.4:5 1 --rate 5", "\"5\" will not do for --rate, which wants a rate"},
        {"a/1.2.3.4:5 1 --wait=1", "--wait takes no value"},
        {"a/1.2.3.4:5 1 --over", "--over wants a time: --over 30s"},
        {"a/1.2.3.4:5 1 --weight 1", "--weight is no option of this command"},
    };
    struct result r = parse(&weigh, "--over 30s a/b/[::1]:5 --wait 7 --json");

    EXPECT(r.runs && r.options.is_json && !given(&r, "rate"));
    EXPECT(strcmp(given(&r, "POOL/ADDRESS"), "a/b/[::1]:5") == 0);
    EXPECT(strcmp(given(&r, "WEIGHT"), "7") == 0 && strcmp(given(&r, "over"), "30s") == 0);
    EXPECT(strcmp(given(&r, "wait"), "") == 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        r = parse(&weigh, rows[i].line);
        if (r.runs || !strstr(r.said, rows[i].words))
            print_error("%s: %s\n", rows[i].line, r.said);
        EXPECT(!r.runs && r.code == 2 && strstr(r.said, rows[i].words));
    }
}
