/* SPDX-License-Identifier: ISC */
/* ballast status */
#include <stdio.h>
#include <stdlib.h>

#include "client/client.h"
#include "client/connect.h"
#include "client/view.h"

static const char help[] =
    "Usage: ballast status [--json]\n"
    "Shows the host's memory, every domain, and why each has what it has. Sizes are MiB.\n"
    "\n"
    "  --json  print what the daemon answers; sizes are KiB\n"
    "  --help  show this text and leave\n"
    "\n"
    "Exit status: 0 all is well, 1 error, 3 the minimums do not fit or the headroom is negative.\n";

static int show(const struct view *view, bool json)
{
    int width = view_width(VIEW_ENDLESS);

    if (json) {
        view_print_json(view, true);
        return view->minimums_fit && view->headroom_kib >= 0 ? EXIT_SUCCESS : EXIT_TROUBLE;
    }
    view_print_host(view, width, "\n");
    view_print_reservations(view, view_reservation_count(view), width, "\n");
    printf("\n");
    view_print_domains(view, width, "\n");
    return view_print_troubles(view, width, "\n") == 0 ? EXIT_SUCCESS : EXIT_TROUBLE;
}

int status_main(int argc, char **argv)
{
    struct connection *connection;
    struct view view;
    bool json = false;
    int status = client_options(argc, argv, help, 0, &json);

    if (status >= 0)
        return status;
    connection = connect_open(client_socket);
    if (!connection)
        return EXIT_FAILURE;
    status = EXIT_FAILURE;
    if (view_ask(connection, &view) == 0) {
        status = show(&view, json);
        view_free(&view);
    }
    connect_close(connection);
    return status;
}
