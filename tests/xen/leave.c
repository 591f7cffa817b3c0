/* SPDX-License-Identifier: ISC */
/* leave: ends QEMU from inside dom0, through its device isa-debug-exit at port 0xf4. QEMU's exit
 * status is then 3, which nothing else gives: so that a panic is not taken for the end of the
 * tests. */
#include <stdio.h>
#include <sys/io.h>

#define DEBUG_EXIT_PORT 0xf4

int main(void)
{
    if (ioperm(DEBUG_EXIT_PORT, 4, 1) != 0) {
        perror("leave: ioperm");
        return 1;
    }
    outl(1, DEBUG_EXIT_PORT);
    return 1;
}
