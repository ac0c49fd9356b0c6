/* The command line. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = {
#define MODE(name, word, help) word,
    MODES(MODE)
#undef MODE
};

const char *mode_word(enum mode mode)
{
    return words[mode];
}

static void help(void)
{
    printf("usage: turnout-load [OPTION...] URL       loads a server\n"
           "       turnout-load serve [OPTION...] URL is one (serve --help)\n\n"
           "URL: ws://HOST:PORT[/PATH], wss, http, https, tcp or tls (records of --size bytes).\n"
           "Certificates are not checked. The PATH left out is the one that `serve` has for the\n"
           "mode.\n\n--mode MODE (echo):\n");
#define MODE(name, word, text) printf("  %-10s %s\n", word, text);
    MODES(MODE)
#undef MODE
    printf(
        "\n"
        "  -n, --connections N   (100) in processes of at most 19,000 each\n"
        "  -p, --processes N     (as many as that takes)\n"
        "  -s, --seconds S       (2) measured, after --warmup S (0.5)\n"
        "  -r, --rate N          messages a second in all, sent by a schedule: the open loop;\n"
        "                        latency counts from the intended time of sending\n"
        "  -b, --size BYTES      (64) of a message, at least 16; k and m are understood\n"
        "  -f, --flight N        (64) handshakes at once\n"
        "  -d, --depth N         (1) messages in flight per connection, closed loop and http;\n"
        "                        with handshake: 0 for no echo\n"
        "      --check WHAT      all (every byte) or stamps (length, sequence, owner);\n"
        "                        all, but stamps with up and down, which take\n"
        "                        the rest of a message off the socket uncopied\n"
        "      --expect BYTES    what the body of every GET must have\n"
        "      --host NAME       for Host and SNI, instead of the URL's\n"
        "      --header LINE     `Name: value`, for every request\n"
        "      --resume          offer the last TLS session\n"
        "      --abort           end connections by RST\n"
        "      --source ADDRESS  (127.1.0.1 when the target is on loopback) the first of\n"
        "      --sources N       (64) addresses to connect from; 0: let the system choose\n"
        "      --congestion NAME TCP congestion control of our sockets\n"
        "      --histogram FILE  `microseconds count share`, a line a bucket\n"
        "      --progress        a line a second on stderr\n\n"
        "Says {\"phase\":\"measure\"} when all is open and warm, {\"phase\":\"measured\"} at the "
        "end of the\nwindow and {\"phase\":\"done\",...} with all figures, a line each. "
        "Every message is checked: exit code 1\nwhen a request failed or a message was lost or "
        "wrong, and such a run counts for nothing; 2: usage.\n");
}

static _Noreturn void refuse(const char *what, const char *value)
{
    fprintf(stderr, "turnout-load: %s%s%s; see --help\n", what, value ? ": " : "",
            value ? value : "");
    exit(2);
}

static double number(const char *text, double least, double most, const char *name)
{
    char *end;
    double value = strtod(text, &end);

    if (*end == 'k')
        value *= 1024, end++;
    else if (*end == 'm')
        value *= 1024 * 1024, end++;
    if (*end || end == text || !(value >= least && value <= most))
        refuse(name, text);
    return value;
}

static enum mode parse_mode(const char *text)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], text) == 0)
            return (enum mode)i;
    refuse("no such mode", text);
}

static const char *parse_scheme(struct options *o, const char *url)
{
    static const struct {
        const char *prefix;
        enum protocol protocol;
        bool is_tls;
    } schemes[] = {{"ws://", WS, false},     {"wss://", WS, true},   {"http://", HTTP, false},
                   {"https://", HTTP, true}, {"tcp://", TCP, false}, {"tls://", TCP, true}};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i].prefix);
        if (strncmp(url, schemes[i].prefix, len) == 0) {
            o->protocol = schemes[i].protocol;
            o->is_tls = schemes[i].is_tls;
            return url + len;
        }
    }
    refuse("not a URL that we know", url);
}

static void parse_url(struct options *o, const char *url)
{
    const char *rest = parse_scheme(o, url), *slash = strchrnul(rest, '/');
    char host[NAME_MAX_BYTES];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;

    if ((size_t)(slash - rest) >= sizeof host || strlen(slash) >= sizeof o->path)
        refuse("too long", url);
    memcpy(host, rest, (size_t)(slash - rest));
    host[slash - rest] = '\0';
    strcpy(o->path, slash);
    if (!o->authority[0])
        strcpy(o->authority, host);
    char *colon = strrchr(host, ':');
    if (!colon || strchr(colon, ']'))
        refuse("a URL wants a port", url);
    *colon = '\0';
    char *name = host[0] == '[' ? host + 1 : host;
    name[strcspn(name, "]")] = '\0';
    int bad = getaddrinfo(name, colon + 1, &hints, &found);
    if (bad)
        refuse(url, gai_strerror(bad));
    memcpy(&o->to, found->ai_addr, found->ai_addrlen);
    o->to_len = found->ai_addrlen;
    freeaddrinfo(found);
    strcpy(o->name, o->authority);
    o->name[strcspn(o->name, ":")] = '\0';
}

static void parse_source(struct options *o, const char *text)
{
    struct in_addr address;

    if (inet_pton(AF_INET, text, &address) != 1)
        refuse("--source wants an IPv4 address", text);
    o->source = ntohl(address.s_addr);
}

static void add_header(struct options *o, const char *line)
{
    char *all = NULL;

    if (!strchr(line, ':') || asprintf(&all, "%s%s\r\n", o->headers ? o->headers : "", line) < 0)
        refuse("--header wants `Name: value`", line);
    free((char *)o->headers);
    o->headers = all;
}

static void copy_name(char *into, const char *text)
{
    if (strlen(text) >= NAME_MAX_BYTES)
        refuse("too long", text);
    strcpy(into, text);
}

enum {
    CHECK = 256,
    EXPECT,
    HOST,
    HEADER,
    RESUME,
    ABORT,
    SOURCE,
    SOURCES,
    CONGESTION,
    HISTOGRAM,
    PROGRESS,
    HELP
};

static const struct option names[] = {
    {"mode", 1, 0, 'm'},
    {"connections", 1, 0, 'n'},
    {"processes", 1, 0, 'p'},
    {"seconds", 1, 0, 's'},
    {"warmup", 1, 0, 'w'},
    {"rate", 1, 0, 'r'},
    {"size", 1, 0, 'b'},
    {"flight", 1, 0, 'f'},
    {"depth", 1, 0, 'd'},
    {"check", 1, 0, CHECK},
    {"expect", 1, 0, EXPECT},
    {"host", 1, 0, HOST},
    {"header", 1, 0, HEADER},
    {"resume", 0, 0, RESUME},
    {"abort", 0, 0, ABORT},
    {"source", 1, 0, SOURCE},
    {"sources", 1, 0, SOURCES},
    {"congestion", 1, 0, CONGESTION},
    {"histogram", 1, 0, HISTOGRAM},
    {"progress", 0, 0, PROGRESS},
    {"help", 0, 0, HELP},
    {0, 0, 0, 0},
};

/* Those that are more than a number. */
static void parse_word(struct options *o, int letter, int *ret_check)
{
    switch (letter) {
    case CHECK:
        if (strcmp(optarg, "all") != 0 && strcmp(optarg, "stamps") != 0)
            refuse("--check is all or stamps", optarg);
        *ret_check = strcmp(optarg, "all") == 0;
        break;
    case HOST:
        copy_name(o->authority, optarg);
        break;
    case HEADER:
        add_header(o, optarg);
        break;
    case RESUME:
        o->resumes = true;
        break;
    case ABORT:
        o->aborts = true;
        break;
    case SOURCE:
        parse_source(o, optarg);
        break;
    case CONGESTION:
        o->congestion = optarg;
        break;
    case HISTOGRAM:
        o->histogram = optarg;
        break;
    case PROGRESS:
        o->shows_progress = true;
        break;
    case HELP:
        help();
        exit(0);
    default:
        refuse("an option is not known", NULL);
    }
}

static void parse_option(struct options *o, int letter, int *ret_check)
{
    switch (letter) {
    case 'm':
        o->mode = parse_mode(optarg);
        break;
    case 'n':
        o->connections =
            (unsigned)number(optarg, 1, CONNECTIONS_MAX * PROCESSES_MAX, "--connections");
        break;
    case 'p':
        o->processes = (unsigned)number(optarg, 1, PROCESSES_MAX, "--processes");
        break;
    case 's':
        o->seconds = number(optarg, 0.01, 1e6, "--seconds");
        break;
    case 'w':
        o->warmup = number(optarg, 0, 1e6, "--warmup");
        break;
    case 'r':
        o->rate = number(optarg, 0.01, 1e8, "--rate");
        break;
    case 'b':
        o->size = (uint64_t)number(optarg, STAMP_BYTES, 1u << 30, "--size");
        break;
    case 'f':
        o->flight = (unsigned)number(optarg, 1, CONNECTIONS_MAX, "--flight");
        break;
    case 'd':
        o->depth = (unsigned)number(optarg, 0, DEPTH_MAX, "--depth");
        break;
    case EXPECT:
        o->expect = (long)number(optarg, 0, 1e15, "--expect");
        break;
    case SOURCES:
        o->sources = (unsigned)number(optarg, 0, 65536, "--sources");
        break;
    default:
        parse_word(o, letter, ret_check);
    }
}

static void settle(struct options *o, int check)
{
    bool is_bulk = o->mode == MODE_UP || o->mode == MODE_DOWN;
    const struct sockaddr_in *to = (const struct sockaddr_in *)&o->to;

    o->checks_all = check < 0 ? !is_bulk : check;
    if ((o->mode == MODE_GET && o->protocol != HTTP) ||
        ((o->mode == MODE_DOWN || o->mode == MODE_IDLE) && o->protocol == HTTP) ||
        (o->mode == MODE_SUBSCRIBE && o->protocol != WS))
        refuse("not with this kind of URL: --mode", mode_word(o->mode));
    if (o->mode == MODE_SUBSCRIBE && !(o->rate > 0))
        o->rate = 10;
    if (!o->depth && o->mode != MODE_HANDSHAKE)
        refuse("--depth 0 is for handshakes", NULL);
    if (o->mode == MODE_HANDSHAKE)
        o->connections = o->flight;
    if (o->to.ss_family != AF_INET)
        o->sources = 0;
    else if (!o->source && ntohl(to->sin_addr.s_addr) >> 24 != 127)
        o->sources = 0;
    else if (!o->source)
        o->source = 0x7f010001;
    unsigned wanted = (o->connections + CONNECTIONS_MAX - 1) / CONNECTIONS_MAX;
    if (o->processes < wanted)
        o->processes = wanted;
    if (o->processes > o->connections)
        o->processes = o->connections;
}

void options_parse(struct options *o, int argc, char **argv)
{
    int letter, check = -1;

    *o = (struct options){.connections = 100,
                          .size = 64,
                          .flight = 64,
                          .depth = 1,
                          .sources = 64,
                          .seconds = 2,
                          .warmup = 0.5,
                          .expect = -1};
    while ((letter = getopt_long(argc, argv, "m:n:p:s:w:r:b:f:d:", names, NULL)) != -1)
        parse_option(o, letter, &check);
    if (optind != argc - 1)
        refuse("one URL is wanted", NULL);
    parse_url(o, argv[optind]);
    settle(o, check);
}

const char *mode_path(const struct options *o, char *into, size_t size)
{
    if (o->path[0])
        return o->path;
    if (o->mode == MODE_GET)
        snprintf(into, size, "/bytes/%ld", o->expect >= 0 ? o->expect : 128L);
    else if (o->mode == MODE_DOWN)
        snprintf(into, size, "/send/%llu", (unsigned long long)o->size);
    else
        snprintf(into, size, "%s",
                 o->mode == MODE_UP          ? "/sink"
                 : o->mode == MODE_SUBSCRIBE ? "/sub"
                                             : "/echo");
    return into;
}
