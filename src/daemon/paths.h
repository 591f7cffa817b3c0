/* SPDX-License-Identifier: ISC */
/* Where the daemon and its client meet. */
#ifndef BALLAST_PATHS_H
#define BALLAST_PATHS_H

#define SOCKET_PATH "/run/ballast/ballast.sock"
#define PID_PATH "/run/ballast/ballastd.pid"

#endif
