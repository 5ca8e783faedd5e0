/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection to a message bus that may be missing, come late, or go: it is made anew, and whoever watches it is told.
 * Nothing in here waits, and no service is started by being asked.
 *
 *   no bus ──(1 s, doubled up to 10 min)──▶ connecting ──▶ up(): matches, services ──disconnected──▶ down() ──▶ no bus
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define SENSE_OWNER_MAX 255 /* of a name on a bus */

struct sense_bus;

struct sense_bus_options {
    sd_event *event;
    const char *address; /* NULL = the system bus; "" = none: never up */
    void (*up)(void *userdata, sd_bus *bus);
    void (*down)(void *userdata); /* what was had from BUS is let go now: slots above all */
    void *userdata;
};

int sense_bus_new(const struct sense_bus_options *options, struct sense_bus **ret);
/* Calls that were under way end with it, and so does every slot that floats; down() is not called. */
struct sense_bus *sense_bus_free(struct sense_bus *bus);
DEFINE_CLEANUP(struct sense_bus *, sense_bus_free);

/* A service on it, which comes and goes. Kept by whoever follows it, for as long as the bus. */
struct sense_service {
    const char *name;
    char owner[SENSE_OWNER_MAX + 1];              /* "" = it is not there */
    void (*moved)(void *userdata, bool is_there); /* also where another process took the name: gone, then there */
    void *userdata;
};

/* From up(). It is not there until the bus has answered. */
int sense_service_follow(sd_bus *bus, struct sense_service *service);
/* From down(): a service of no bus is not there; moved() is told where it was. */
void sense_service_lost(struct sense_service *service);

/* Whether M is from it: a signal with a destination comes from whoever cares to send it, whatever the match says. */
bool sense_service_sent(const struct sense_service *service, sd_bus_message *m);

/*
 * Calls METHOD with arguments of TYPES, as sd_bus_message_append(). *ret_slot owns the call: dropped, it is as if it
 * was never answered.
 */
int sense_call(sd_bus *bus, sd_bus_slot **ret_slot, const struct sense_service *service, const char *path,
               const char *interface, const char *method, sd_bus_message_handler_t answered, void *userdata,
               const char *types, ...);

/* All properties of INTERFACE at PATH, as a{sv}. */
int sense_get_all(sd_bus *bus, sd_bus_slot **ret_slot, const struct sense_service *service, const char *path,
                  const char *interface, sd_bus_message_handler_t answered, void *userdata);

/* PropertiesChanged of INTERFACE, of every object at PATH and below. */
int sense_match_properties(sd_bus *bus, const struct sense_service *service, const char *path, const char *interface,
                           sd_bus_message_handler_t changed, void *userdata);

/* One property of an a{sv}: reads the variant's content, or leaves it unread and returns 0. */
typedef int (*sense_property_t)(void *userdata, const char *name, sd_bus_message *m, const char *type);

/* Goes through an a{sv}; what nobody read is skipped. */
int sense_read_properties(sd_bus_message *m, sense_property_t property, void *userdata);
