/* The end of a process that has found itself wrong, said on stderr before it dies by its signal. */
#pragma once

void panic_install(void);
