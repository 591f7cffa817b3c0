/* SPDX-License-Identifier: ISC */
/* What init systems and the kernel expect of a daemon: background, pid file, readiness, a socket
 * that nobody else serves, memory that is not paged out. */
#ifndef BALLAST_SERVICE_H
#define BALLAST_SERVICE_H

/* Goes on in a child in a session of its own. The parent waits and exits 0 once service_ready() was
 * called, or 1 when the child ends before; until then the child keeps standard error. Returns 0 in
 * the child, or a negative errno. */
int service_background(void);

/* To be called when everything that can fail is done. In the background: standard input, output
 * and error go to /dev/null and the parent is let go. Tells a service manager, too. */
void service_ready(void);

/* Tells the service manager ($NOTIFY_SOCKET), when there is one, that a reload begins (ended by
 * service_ready()), or that we end. */
void service_reloading(void);
void service_stopping(void);

/* Takes the lock that whoever moves memory on this host holds, wherever its socket and pid file
 * are. Nobody else can open it, and it is not removed: all must find the same file. It ends with
 * us, however we end. Returns its descriptor; -EEXIST when another process has it, or another
 * negative errno. Logs the failure. */
int service_lock_host(void);

/* Writes the pid file, locks it for as long as we live, and returns its descriptor; -EEXIST when
 * another process has it locked, or another negative errno. Logs the failure. */
int service_pidfile(const char *file);

/* Makes the listening socket, connectable by everybody; its directory is made when it is missing.
 * A socket that nobody answers on is replaced. Returns its descriptor; -EBUSY when somebody
 * answers, or another negative errno. Logs the failure. */
int service_listen(const char *path);

/* Keeps what we use in memory, as far as we are allowed to. */
void service_lock_memory(void);

#endif
