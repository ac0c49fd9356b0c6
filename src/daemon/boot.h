/* The parts of starting that can be refused, each with words for whoever started us. */
#pragma once

#include "daemon/house.h"

/* Settings from the house's file or text; NULL: the report says why. */
struct settings *boot_settings(struct house *house, struct report *report);

/* Raises the descriptor limit and sets the house's; false: it will not do, and that was said on
 * stderr. */
bool boot_descriptors(struct house *house, const struct settings *settings);

/* One listening socket per worker for each gate of `snapshot` that `before` (NULL: none) does not
 * have: fds[worker * gates + gate], -1 where none is needed. All or nothing; errors go to the
 * report. */
int *boot_sockets(const struct snapshot *snapshot, const struct snapshot *before, unsigned workers,
                  struct report *report);
void boot_close_sockets(int *take_fds, size_t count);

int boot_admin_socket(const struct settings *settings,
                      struct endpoint *ret_endpoint); /* as listener_socket */

/* What to do about an address that cannot be listened on; NULL: nothing comes to mind. */
const char *boot_advice(int error);

/* A user that does not exist, or that we cannot become, goes to the report. */
void boot_check_user(const struct settings *settings, struct report *report);

/* Becomes the configured user, for ever, and gives it the log. False: it cannot be, and that was
 * said on stderr. */
bool boot_drop_privileges(const struct settings *settings, struct log_sink *log);
