/* SPDX-License-Identifier: ISC */
/* The guests' end of xenstored's rings, inside the process of the real xenstored or oxenstored.
 *
 * The store's daemon believes that it shares a page with each domain and has an event channel to
 * it. Here the page is a file, $FAKEXEN_DIR/ring/N, and a thread plays the guest's kernel: it
 * listens on the socket $FAKEXEN_DIR/guest/N and moves bytes between whoever connects there and the
 * page. The bytes are the same on a ring and on a socket, so any program that uses libxenstore is
 * domain N, with domain N's rights, when XENSTORED_PATH names that socket.
 *
 * One client at a time. When it leaves, its watches and transactions are undone, as a guest's
 * kernel would do, and the next client starts clean. The socket lives from the domain's
 * introduction to its release.
 */
#ifndef BALLAST_FAKEXEN_RING_H
#define BALLAST_FAKEXEN_RING_H

#include <stdint.h>

#define RING_VIRQ_PORT 1u
#define RING_PORT(domid) ((domid) + 2u)
#define RING_DOMID(port) ((port)-2u)

/* Starts the thread and the socket $FAKEXEN_DIR/event, to which a datagram "V" (a domain has come
 * to an end) or "K<domid>" (the guest has changed its ring by hand) can be sent. The second call
 * does nothing. Returns 0 or a negative errno. */
int ring_start(void);

/* The file descriptor from which the store's daemon reads the ports that have an event. */
int ring_event_fd(void);

/* Returns the next port with an event, waiting for one, or a negative errno. */
int ring_event_next(void);

/* The daemon has taken the event of this port: another may come. */
void ring_event_unmask(uint32_t port);

/* Maps the ring page of a domain for the daemon. Returns NULL, with errno set, when there is no
 * such domain. The caller unmaps it. */
void *ring_map(uint32_t domid);

/* The daemon binds the event channel: the domain can connect from now on. Returns 0 or -errno. */
int ring_bind(uint32_t domid);

/* The daemon has done with the domain. */
void ring_unbind(uint32_t domid);

/* The daemon has changed the ring page: there may be replies, or room. */
void ring_kick(uint32_t domid);

#endif
