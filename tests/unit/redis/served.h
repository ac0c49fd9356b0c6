/* A Redis server by hand: the other end of a fake descriptor. */
#pragma once

#include "net/parent.h"

#include <sys/epoll.h>

#define FIRST_FD 8 /* descriptors are given in order from here on */

static size_t heard_bytes[FAKE_FDS]; /* of what a descriptor has sent, looked at */

static inline void served_begin(void)
{
    parent_begin();
    memset(heard_bytes, 0, sizeof heard_bytes);
    fake_calls.connect = -EINPROGRESS;
}

static inline void served_accepts(int fd)
{
    fake_event(fd, EPOLLOUT);
    parent_turn();
    parent_turn();
}

static inline void served_refuses(int fd)
{
    fake_fd[fd].error = -ECONNREFUSED;
    fake_event(fd, EPOLLERR | EPOLLHUP);
    parent_turn();
}

/* Whether that, and nothing else, was said since the last look. */
static inline bool served_heard(int fd, const char *text)
{
    size_t len = fake_fd[fd].out_len - heard_bytes[fd];
    bool is_so = len == strlen(text) && !memcmp(fake_fd[fd].out + heard_bytes[fd], text, len);

    if (!is_so)
        print_error("fd %d heard: %.*s\n", fd, (int)len, fake_fd[fd].out + heard_bytes[fd]);
    heard_bytes[fd] = fake_fd[fd].out_len;
    return is_so;
}

static inline void served_says(int fd, const char *text)
{
    fake_input(fd, text);
    parent_turn();
    parent_turn();
}

static inline void served_waits(uint64_t usec)
{
    fake_now_usec += usec;
    parent_turn();
    parent_turn();
}
