/* SPDX-License-Identifier: ISC */
/* Where the daemon and its client meet, and where it meets others of its kind. */
#ifndef BALLAST_PATHS_H
#define BALLAST_PATHS_H

#define SOCKET_PATH "/run/ballast/ballast.sock"
#define PID_PATH "/run/ballast/ballastd.pid"

/* In Xen's own directory, as libxl names it: there is one on a host, and only root can look into
 * it. */
#define HOST_LOCK_PATH "/var/run/xen/ballastd.lock"

#endif
