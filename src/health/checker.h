/* Ways of asking a server how it is: one file each, listed in meson.build. Pure: bytes come in,
 * bytes go out, and a verdict falls. The flow in check.c has the socket, the clock and the
 * deadline; randomness is handed in. */
#pragma once

#include "base/buf.h"
#include "base/random.h"
#include "base/reason.h"
#include "conf/settings.h"

#define TALK_IN_BYTES  32768u
#define TALK_OUT_BYTES 1048576u
#define TALK_OWN_BYTES 192

/* One check under way. */
struct talk {
    const struct check_settings *settings;
    const char *host; /* for Host */
    struct random *random;
    struct buf out;       /* to be sent */
    struct buf in;        /* heard, and not used up yet: hear takes what it can */
    struct buf message;   /* websocket: what a fragmented one is so far */
    bool has_ended;       /* no more will be heard */
    bool carries_headers; /* an answer's head was heard, so X-Turnout-Drain would have been, too */
    uint16_t status;      /* of the answer; 0: none */
    enum reason why;      /* when it is over: DONE, SERVER_DRAINS, or what is wrong */
    enum reason if_late;  /* what it is if the time is over now; DONE: it had passed already */
    _Alignas(8) uint8_t own[TALK_OWN_BYTES]; /* the checker's; zeroed */
};

enum talk_next { TALK_ON, TALK_OVER };

struct checker {
    const char *name;
    const char *help;
    enum check_kind kind;
    bool is_left_rudely; /* by a reset, when it is over: nothing was said, so nothing can be lost */
    /* The connection stands. TALK_OVER with NO_MEMORY when there is none. */
    enum talk_next (*begin)(struct talk *talk);
    /* More has come, or the end has. With has_ended it is over. */
    enum talk_next (*hear)(struct talk *talk);
};

const struct checker *checker_of(enum check_kind kind);

/* It is over: returns TALK_OVER. */
enum talk_next talk_end(struct talk *talk, enum reason why);
/* Whether "200-399,404" allows that status. NULL allows what RFC 9110 calls no error. */
bool status_is_wanted(const char *ranges, unsigned status);
/* Our end's name in requests, as a whole line. */
#define TALK_AGENT "User-Agent: turnout/" TURNOUT_VERSION " (health check)\r\n"
__attribute__((format(printf, 2, 3))) int talk_say(struct talk *talk, const char *format,
                                                   ...); /* 0 or -ENOMEM, -EMSGSIZE */
