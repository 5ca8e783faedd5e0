/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of the hosts that jobs go to: where they were last reached, and whether they are down. A host that does
 * not answer is asked by one job at a time, at times that are further and further apart, however many jobs wait for it.
 * Nothing of this is stored: after a start every host is asked once.
 */
#include "manager/gates.h"
#include "manager/internal.h"

#include "base/text.h"

#include <string.h>

static struct destination *find(const struct manager *manager, const char *host)
{
    struct destination *destination;

    TAILQ_FOREACH (destination, &manager->destinations, entry)
        if (strcmp(destination->host, host) == 0)
            return destination;
    return NULL;
}

/* The one that was used last stands first; the last one goes where there are too many. */
static struct destination *take(struct manager *manager, const char *host)
{
    struct destination *destination = find(manager, host);

    if (destination) {
        TAILQ_REMOVE(&manager->destinations, destination, entry);
    } else if (manager->destinations_count >= DESTINATIONS_MAX) {
        destination = TAILQ_LAST(&manager->destinations, destinations);
        TAILQ_REMOVE(&manager->destinations, destination, entry);
        memset(destination, 0, sizeof(*destination));
    } else {
        destination = calloc(1, sizeof(*destination));
        if (!destination)
            return NULL; /* it stays unknown */
        manager->destinations_count++;
    }
    (void)text_copy(destination->host, sizeof(destination->host), host);
    TAILQ_INSERT_HEAD(&manager->destinations, destination, entry);
    return destination;
}

const char *destination_address(const struct manager *manager, const char *host)
{
    const struct destination *destination = find(manager, host);

    return destination ? destination->address : "";
}

void destination_note_address(struct manager *manager, const char *host, const char *address)
{
    struct destination *destination = take(manager, host);

    if (destination)
        (void)text_copy(destination->address, sizeof(destination->address), address);
}

void destination_failed(struct manager *manager, const char *host, uint64_t delay_usec, uint64_t next_usec)
{
    struct destination *destination = take(manager, host);

    if (destination)
        breaker_failed(&destination->breaker, manager_now(manager).realtime_usec, delay_usec, next_usec);
}

void destination_answered(struct manager *manager, const char *host)
{
    struct destination *destination = find(manager, host);

    if (!destination || destination->breaker.state != BREAKER_OPEN)
        return;
    breaker_answered(&destination->breaker, manager_now(manager).realtime_usec, manager_random());
    manager_reschedule(manager); /* others wait for that news */
}

void destination_forgive(struct manager *manager, const char *host)
{
    struct destination *destination = find(manager, host);

    if (destination)
        destination->breaker = (struct breaker){.state = BREAKER_CLOSED};
}

void destinations_forgive(struct manager *manager)
{
    struct destination *destination;

    TAILQ_FOREACH (destination, &manager->destinations, entry)
        destination->breaker = (struct breaker){.state = BREAKER_CLOSED};
}

uint64_t destination_delay_usec(const struct manager *manager, const char *host)
{
    const struct destination *destination = find(manager, host);

    return destination && destination->breaker.state == BREAKER_OPEN ? destination->breaker.delay_usec : 0;
}

bool destination_is_down(struct manager *manager, const char *host, uint64_t *ret_since_usec, uint64_t *ret_until_usec)
{
    struct destination *destination = find(manager, host);
    uint64_t from;

    if (!destination || !breaker_holds(&destination->breaker, manager_now(manager).realtime_usec, &from))
        return false;
    *ret_since_usec = destination->breaker.since_usec;
    *ret_until_usec = destination->breaker.until_usec;
    return true;
}

void destinations_free(struct manager *manager)
{
    struct destination *destination;

    while ((destination = TAILQ_FIRST(&manager->destinations)) != NULL) {
        TAILQ_REMOVE(&manager->destinations, destination, entry);
        free(destination);
    }
}
