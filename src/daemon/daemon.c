/* SPDX-License-Identifier: ISC */
#include "daemon/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ledger.h"
#include "daemon/service.h"
#include "util/log.h"

static const char too_many[] =
    "{\"error\":{\"class\":\"Failed\",\"desc\":\"too many clients are connected\"}}\n";

/* What the operator should look at, and what only explains a figure; all else is a notice. */
static int priority_of(const char *kind)
{
    static const struct {
        const char *kind;
        int priority;
    } table[] = {
        { "REASON", LOG_DEBUG },        { "MINIMUMS", LOG_WARNING }, { "HEADROOM", LOG_WARNING },
        { "CALL_FAILED", LOG_WARNING }, { "POLICY", LOG_WARNING },   { "REMEDY", LOG_WARNING },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (!strcmp(table[i].kind, kind))
            return table[i].priority;
    return LOG_NOTICE;
}

static void send_json(struct loop_client *client, struct json *json)
{
    size_t len;
    const char *text = json ? json_text(json, &len) : NULL;

    if (text)
        loop_send(client, text, len);
    else
        loop_drop(client);
    json_free(json);
}

static void publish(struct daemon *daemon, const struct notice *notice)
{
    struct json *json = json_new(false);
    const char *text;
    size_t len;

    if (!json)
        return;
    publish_notice(json, NULL, notice);
    text = json_text(json, &len);
    if (text)
        loop_publish(daemon->loop, text, len);
    json_free(json);
}

/* Logs and publishes what was noted since the last time. */
static void tell(struct daemon *daemon)
{
    const struct control *control = &daemon->control;

    for (; daemon->told < control->noted; daemon->told++) {
        const struct notice *notice = &control->notices[daemon->told % CONTROL_NOTICES];

        if (notice->domid == NOTICE_HOST)
            log_at(priority_of(notice->kind), "%s: %s", notice->kind, notice->text);
        else
            log_at(priority_of(notice->kind), "%s: %s (domain %u): %s", notice->kind, notice->name,
                   (unsigned)notice->domid, notice->text);
        publish(daemon, notice);
    }
}

/* Sends the answers that have become due. What they say is in the store before: it holds also when
 * the daemon dies right after. */
static void send_later_answers(struct daemon *daemon)
{
    struct json *json;
    void *client;
    bool sent = false;

    reservations_save(&daemon->control);
    while ((json = reservations_next_answer(&daemon->control, &client))) {
        send_json(client, json);
        sent = true;
    }
    if (sent)
        reservations_save(&daemon->control);
}

/* Looks into what just happened when what comes together with it has come. */
static void look_soon(struct daemon *daemon)
{
    loop_due_in(daemon->loop, daemon->engine.config.gather_ms);
}

static int run_round(struct daemon *daemon)
{
    struct host *host = daemon->host;
    uint64_t next_ms = daemon->engine.config.interval_ms;
    int r;

    (void)host->ops->dispatch(host); /* observe() tells when the connection is lost */
    r = engine_round(&daemon->engine, &next_ms);
    if (r < 0) {
        if (!daemon->lost)
            log_error("the host cannot be observed: %s; trying again", strerror(-r));
        daemon->lost = true;
        (void)loop_watch(daemon->loop, -1);
    } else {
        if (daemon->lost)
            log_notice("the host can be observed again");
        daemon->lost = false;
        control_note_round(&daemon->control);
        ledger_round(&daemon->ledger, &daemon->control);
        send_later_answers(daemon);
        if (loop_watch(daemon->loop, host->ops->fd(host)) < 0)
            log_warning("the host cannot be watched until the next round, ignoring");
    }
    tell(daemon);
    daemon->round_wanted = false;
    daemon->round_ms = host->ops->now_ms(host) + next_ms;
    loop_due_in(daemon->loop, next_ms);
    return r;
}

/* Posts that say what is known already are no reason: thousands of domains post all the time. */
static bool has_reason(struct daemon *daemon)
{
    struct host *host = daemon->host;

    return daemon->round_wanted || host->ops->dispatch(host) < 0
           || host->ops->has_news(host, &daemon->engine.round);
}

static void on_due(void *context)
{
    struct daemon *daemon = context;
    struct host *host = daemon->host;
    bool reason = has_reason(daemon);
    uint64_t now_ms = host->ops->now_ms(host);

    if (reason || now_ms >= daemon->round_ms) {
        (void)run_round(daemon);
        return;
    }
    if (loop_watch(daemon->loop, host->ops->fd(host)) < 0)
        log_warning("the host cannot be watched until the next round, ignoring");
    loop_due_in(daemon->loop, daemon->round_ms - now_ms);
}

/* What else comes until then is taken in there, all at once: a thousand domains that post wake the
 * daemon no more often than one. And a lost connection stays readable: it is not watched until
 * observe() has made another. */
static void on_readable(void *context)
{
    struct daemon *daemon = context;

    if (daemon->host->ops->dispatch(daemon->host) == 0)
        return;
    (void)loop_watch(daemon->loop, -1);
    look_soon(daemon);
}

static void stop(struct daemon *daemon)
{
    ledger_close(&daemon->control);
    control_note(&daemon->control, "SHUTDOWN", NOTICE_HOST, NULL,
                 "the daemon ends; every domain stays as it is");
    tell(daemon);
    loop_stop(daemon->loop);
}

static void log_lines(char *text)
{
    char *rest;

    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        log_error("%s", line);
}

static void reload(struct daemon *daemon)
{
    char error[4096] = "out of memory";

    service_reloading();
    if (control_reload(&daemon->control, error, sizeof(error)) < 0)
        log_lines(error);
    service_ready();
}

/* Does what the last request or signal asked for. */
static void follow_up(struct daemon *daemon)
{
    struct control *control = &daemon->control;

    send_later_answers(daemon);
    tell(daemon);
    daemon->round_wanted |= control->round_wanted;
    if (control->round_wanted)
        look_soon(daemon);
    control->round_wanted = false;
    if (control->stop_wanted)
        stop(daemon);
    control->stop_wanted = false;
}

static void on_signal(void *context, int number)
{
    struct daemon *daemon = context;

    if (number == SIGHUP)
        reload(daemon);
    else
        daemon->control.stop_wanted = true;
    follow_up(daemon);
}

static void on_joined(void *context, struct loop_client *client)
{
    struct daemon *daemon = context;

    send_json(client, control_greeting(&daemon->control));
}

static void on_line(void *context, struct loop_client *client, const char *line, size_t len)
{
    struct daemon *daemon = context;
    uid_t uid = loop_client_uid(client);
    struct control_peer peer = {
        .may_change = uid == 0 || uid == geteuid(),
        .client = client,
    };
    struct json *answer = control_answer(&daemon->control, &peer, line, len);

    if (peer.put_off == 0)
        send_json(client, answer);
    if (peer.subscribed)
        loop_subscribe(client);
    follow_up(daemon);
}

static void on_left(void *context, struct loop_client *client)
{
    struct daemon *daemon = context;

    if (daemon->ending)
        return;
    reservations_left(&daemon->control, client);
    follow_up(daemon);
}

static const struct loop_calls calls = {
    .due = on_due,
    .readable = on_readable,
    .signalled = on_signal,
    .joined = on_joined,
    .left = on_left,
    .line = on_line,
};

static int start_loop(struct daemon *daemon)
{
    static const int signals[] = { SIGHUP, SIGTERM, SIGINT };

    daemon->loop = loop_new(&calls, daemon);
    if (!daemon->loop)
        return -ENOMEM;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        int r = loop_signal(daemon->loop, signals[i]);

        if (r < 0)
            return r;
    }
    return 0;
}

int daemon_start(struct daemon *daemon, struct host *host, struct config *config,
                 const char *config_file, bool dry_run, int listen_fd)
{
    int r;

    memset(daemon, 0, sizeof(*daemon));
    daemon->host = host;
    engine_init(&daemon->engine, host, config);
    daemon->engine.dry_run = dry_run;
    daemon->control.engine = &daemon->engine;
    daemon->control.config_file = config_file;
    daemon->control.started_ms = host->ops->now_ms(host);
    r = start_loop(daemon);
    if (r == 0)
        r = loop_listen(daemon->loop, listen_fd, CONTROL_LINE_MAX, too_many);
    if (r < 0) {
        log_error("the loop cannot be set up: %s", strerror(-r));
        return r;
    }
    reservations_restore(&daemon->control);
    return run_round(daemon);
}

int daemon_run(struct daemon *daemon)
{
    return loop_run(daemon->loop);
}

void daemon_end(struct daemon *daemon)
{
    daemon->ending = true;
    loop_free(daemon->loop);
    reservations_free(&daemon->control);
    engine_free(&daemon->engine);
}
