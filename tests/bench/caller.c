/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A caller of the daemon that costs little, so that a bench measures the daemon.
 *
 *   bench-caller ADDRESS add   --jobs N --source PATH --url PATH [--callers N] [--hosts N]
 *   bench-caller ADDRESS batch --jobs N --source PATH --url PATH [--token TEXT] [--hosts N] [--ready --loopback PORT]
 *   bench-caller ADDRESS ping  --jobs N [--pause USEC]
 *   bench-caller ADDRESS pages --jobs N --last ID [--rows N]
 *
 * ADDRESS is the daemon's private socket, or with --bus a message bus. Jobs are added paused, unless they are to be
 * --ready. "add" and "batch" print the seconds that all of it took; "ping" and "pages" a line of microseconds for each
 * call; "ping" ends earlier when its standard input does.
 */
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#define NAME      "org.bitsq1"
#define OBJECT    "/org/bitsq1"
#define MANAGER   "org.bitsq1.Manager"
#define BATCH     1000
#define CALLERS   64
#define URL_BYTES 512

struct choices {
    const char *address;
    bool on_bus;
    unsigned jobs;
    unsigned callers;
    unsigned hosts;
    const char *source;
    const char *url; /* what follows the host */
    unsigned port;   /* of 127.x.y.1, where the servers are; 0 = they are names that are never looked up */
    bool ready;      /* else they are added paused */
    const char *token;
    unsigned pause_usec;
    uint64_t last;
    unsigned rows;
};

struct caller {
    const struct choices *choices;
    sd_bus *bus;
    unsigned first, count;
    pthread_t thread;
};

static uint64_t now_usec(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void check(int r, const char *what, const sd_bus_error *error)
{
    if (r >= 0)
        return;
    (void)fprintf(stderr, "bench-caller: %s: %s\n", what, error && error->message ? error->message : strerror(-r));
    exit(1);
}

static sd_bus *open_bus(const struct choices *choices)
{
    sd_bus *bus = NULL;

    check(sd_bus_new(&bus), "sd_bus_new", NULL);
    check(sd_bus_set_address(bus, choices->address), choices->address, NULL);
    check(sd_bus_set_bus_client(bus, choices->on_bus), "sd_bus_set_bus_client", NULL);
    check(sd_bus_start(bus), choices->address, NULL);
    return bus;
}

static sd_bus_message *new_call(const struct caller *caller, const char *interface, const char *method)
{
    sd_bus_message *call = NULL;

    check(sd_bus_message_new_method_call(caller->bus, &call, caller->choices->on_bus ? NAME : NULL, OBJECT, interface,
                                         method),
          method, NULL);
    return call;
}

static void send_call(const struct caller *caller, sd_bus_message *call)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;

    check(sd_bus_call(caller->bus, call, 60000000, &error, &reply), sd_bus_message_get_member(call), &error);
    sd_bus_message_unref(call);
    sd_bus_message_unref(reply);
}

static void append_job(sd_bus_message *call, const struct choices *choices, unsigned number)
{
    char url[URL_BYTES];

    unsigned host = number % choices->hosts;
    if (choices->port != 0)
        (void)snprintf(url, sizeof(url), "http://127.%u.%u.1:%u/%s%u", host / 256 % 256, host % 256, choices->port,
                       choices->url, number);
    else
        (void)snprintf(url, sizeof(url), "http://host%u.example.org:9/%s%u", host, choices->url, number);
    check(sd_bus_message_append_array(call, 'y', choices->source, strlen(choices->source)), "source", NULL);
    check(sd_bus_message_append(call, "sa{sv}", url, 1, "hold", "b", !choices->ready), "url", NULL);
}

static void *add_jobs(void *userdata)
{
    const struct caller *caller = userdata;

    for (unsigned i = 0; i < caller->count; i++) {
        sd_bus_message *call = new_call(caller, MANAGER, "AddJob");
        append_job(call, caller->choices, caller->first + i);
        send_call(caller, call);
    }
    return NULL;
}

static void run_add(const struct choices *choices)
{
    struct caller callers[CALLERS];
    unsigned each = choices->jobs / choices->callers;

    for (unsigned i = 0; i < choices->callers; i++) {
        callers[i] = (struct caller){.choices = choices, .bus = open_bus(choices), .first = i * each, .count = each};
        send_call(&callers[i],
                  new_call(&callers[i], MANAGER, "Unsubscribe")); /* what the others add is nothing to it */
    }
    uint64_t begin = now_usec();
    for (unsigned i = 0; i < choices->callers; i++)
        check(-pthread_create(&callers[i].thread, NULL, add_jobs, &callers[i]), "pthread_create", NULL);
    for (unsigned i = 0; i < choices->callers; i++)
        (void)pthread_join(callers[i].thread, NULL);
    uint64_t end = now_usec();
    for (unsigned i = 0; i < choices->callers; i++)
        sd_bus_flush_close_unref(callers[i].bus);
    printf("%.6f\n", (double)(end - begin) / 1e6);
}

static void run_batch(const struct choices *choices)
{
    struct caller caller = {.choices = choices, .bus = open_bus(choices)};
    uint64_t begin = now_usec();

    for (unsigned done = 0; done < choices->jobs; done += BATCH) {
        sd_bus_message *call = new_call(&caller, MANAGER, "AddJobs");
        unsigned end = done + BATCH < choices->jobs ? done + BATCH : choices->jobs;
        check(sd_bus_message_open_container(call, 'a', "(aysa{sv})"), "jobs", NULL);
        for (unsigned i = done; i < end; i++) {
            check(sd_bus_message_open_container(call, 'r', "aysa{sv}"), "job", NULL);
            append_job(call, choices, i);
            check(sd_bus_message_close_container(call), "job", NULL);
        }
        check(sd_bus_message_close_container(call), "jobs", NULL);
        if (choices->token)
            check(sd_bus_message_append(call, "a{sv}", 3, "batch", "s", choices->token, "more", "b",
                                        end < choices->jobs, "offset", "t", (uint64_t)done),
                  "options", NULL);
        else
            check(sd_bus_message_append(call, "a{sv}", 0), "options", NULL);
        send_call(&caller, call);
    }
    printf("%.6f\n", (double)(now_usec() - begin) / 1e6);
    sd_bus_flush_close_unref(caller.bus);
}

static bool input_ended(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    return poll(&input, 1, 0) > 0;
}

static void run_ping(const struct choices *choices)
{
    const struct caller caller = {.choices = choices, .bus = open_bus(choices)};
    const struct timespec pause = {.tv_sec = choices->pause_usec / 1000000,
                                   .tv_nsec = (long)(choices->pause_usec % 1000000) * 1000};

    for (unsigned i = 0; i < choices->jobs && !input_ended(); i++) {
        sd_bus_message *call = new_call(&caller, "org.freedesktop.DBus.Peer", "Ping");
        uint64_t begin = now_usec();
        send_call(&caller, call);
        printf("%lu\n", (unsigned long)(now_usec() - begin));
        (void)nanosleep(&pause, NULL);
    }
    sd_bus_flush_close_unref(caller.bus);
}

static void run_pages(const struct choices *choices)
{
    const struct caller caller = {.choices = choices, .bus = open_bus(choices)};

    srandom(1);
    for (unsigned i = 0; i < choices->jobs; i++) {
        sd_bus_message *call = new_call(&caller, MANAGER, "QueryJobs");
        uint64_t after = (uint64_t)random() % choices->last;
        check(sd_bus_message_append(call, "a{sv}tu", 1, "all", "b", 1, after, choices->rows), "page", NULL);
        uint64_t begin = now_usec();
        send_call(&caller, call);
        printf("%lu\n", (unsigned long)(now_usec() - begin));
    }
    sd_bus_flush_close_unref(caller.bus);
}

static const char *parse(int argc, char *argv[], struct choices *ret)
{
    static const struct option known[] = {
        {"jobs", required_argument, NULL, 'n'},
        {"callers", required_argument, NULL, 'c'},
        {"hosts", required_argument, NULL, 'h'},
        {"source", required_argument, NULL, 's'},
        {"url", required_argument, NULL, 'u'},
        {"token", required_argument, NULL, 't'},
        {"pause", required_argument, NULL, 'p'},
        {"last", required_argument, NULL, 'l'},
        {"rows", required_argument, NULL, 'r'},
        {"bus", no_argument, NULL, 'b'},
        {"ready", no_argument, NULL, 'R'},
        {"loopback", required_argument, NULL, 'L'},
        {NULL, 0, NULL, 0},
    };
    int option;

    *ret = (struct choices){.jobs = 1, .callers = 1, .hosts = 1, .source = "", .url = "", .last = 1, .rows = 100};
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        unsigned long number = optarg ? strtoul(optarg, NULL, 10) : 0;
        switch (option) {
        case 'n':
            ret->jobs = (unsigned)number;
            break;
        case 'c':
            ret->callers = (unsigned)(number < 1 ? 1 : number > CALLERS ? CALLERS : number);
            break;
        case 'h':
            ret->hosts = (unsigned)(number < 1 ? 1 : number);
            break;
        case 's':
            ret->source = optarg;
            break;
        case 'u':
            ret->url = optarg;
            break;
        case 't':
            ret->token = optarg;
            break;
        case 'p':
            ret->pause_usec = (unsigned)number;
            break;
        case 'l':
            ret->last = number < 1 ? 1 : number;
            break;
        case 'r':
            ret->rows = (unsigned)number;
            break;
        case 'R':
            ret->ready = true;
            break;
        case 'L':
            ret->port = (unsigned)number;
            break;
        case 'b':
            ret->on_bus = true;
            break;
        default:
            return NULL;
        }
    }
    ret->address = optind + 2 == argc ? argv[optind] : NULL;
    return ret->address ? argv[optind + 1] : NULL;
}

int main(int argc, char *argv[])
{
    static const struct {
        const char *verb;
        void (*run)(const struct choices *choices);
    } verbs[] = {{"add", run_add}, {"batch", run_batch}, {"ping", run_ping}, {"pages", run_pages}};
    struct choices choices;
    const char *verb = parse(argc, argv, &choices);

    for (size_t i = 0; verb && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verb, verbs[i].verb) == 0) {
            verbs[i].run(&choices);
            return 0;
        }
    }
    (void)fprintf(stderr, "Usage: bench-caller ADDRESS add|batch|ping|pages [OPTION]...: see its source\n");
    return 2;
}
