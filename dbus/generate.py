#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes C from the D-Bus contract in this folder: the XML files and errors.txt are the only place where a method, a
property, a signal, a signature or an error name is written.

  generate.py names OUT.h XML... --errors FILE      names and signatures, for the library and the daemon
  generate.py vtables OUT.h OUT.c XML...            sd-bus vtables, for the daemon

A vtable refers to one handler a member, by a name that follows from the member's: AddJob of org.bitsq1.Manager is
manager_method_add_job(), its property Rate manager_get_rate(), and manager_set_rate() where it can be written. A member without a handler does not link.
"""
import argparse
import re
import xml.etree.ElementTree as ET

EMITS = {
    "true": "SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE",
    "false": "0",
    "const": "SD_BUS_VTABLE_PROPERTY_CONST",
    "invalidates": "SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION",
}
HEAD = "/* Generated from dbus/ by generate.py: do not edit. */\n"


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def interfaces(paths):
    for path in paths:
        for interface in ET.parse(path).getroot().iter("interface"):
            yield interface.get("name"), snake(interface.get("name").rsplit(".", 1)[1]), interface


def arguments(member, direction):
    return [a for a in member.iter("arg") if a.get("direction", "out" if member.tag == "signal" else "in") == direction]


def signature(member, direction):
    return "".join(a.get("type") for a in arguments(member, direction))


def errors(path):
    with open(path, encoding="utf-8") as lines:
        return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def write_names(options):
    out = [HEAD, "#pragma once\n\n", '#define BITSQ_DBUS_NAME "org.bitsq1"\n', '#define BITSQ_DBUS_PATH "/org/bitsq1"\n',
           '#define BITSQ_DBUS_JOBS_PATH "/org/bitsq1/jobs"\n']
    for full, short, interface in interfaces(options.xml):
        prefix = short.upper()
        out.append(f'\n#define {prefix}_INTERFACE "{full}"\n')
        for member in interface:
            if member.tag not in ("method", "property", "signal"):
                continue
            name = f"{prefix}_{snake(member.get('name')).upper()}"
            if member.tag == "signal":
                name = f"{prefix}_SIGNAL_{snake(member.get('name')).upper()}"
            elif member.tag == "property":
                name = f"{prefix}_PROPERTY_{snake(member.get('name')).upper()}"
            out.append(f'#define {name} "{member.get("name")}"\n')
            if member.tag == "method":
                out.append(f'#define {name}_IN "{signature(member, "in")}"\n')
                out.append(f'#define {name}_OUT "{signature(member, "out")}"\n')
            elif member.tag == "signal":
                out.append(f'#define {name}_TYPES "{signature(member, "out")}"\n')
            else:
                out.append(f'#define {name}_TYPE "{member.get("type")}"\n')
    out.append("\n")
    for error in errors(options.errors):
        out.append(f'#define BITSQ_ERROR_{snake(error).upper()} "org.bitsq1.Error.{error}"\n')
    with open(options.header, "w", encoding="utf-8") as file:
        file.write("".join(out))


def argument_list(member, direction, macro):
    args = arguments(member, direction)
    if not args:
        return macro.replace("SD_BUS_", "SD_BUS_NO_")
    return f"{macro}(" + ", ".join(f'"{a.get("type")}", {a.get("name")}' for a in args) + ")"


def vtable_lines(short, interface, declare):
    for member in interface:
        name = member.get("name", "")
        if member.tag == "method":
            handler = f"{short}_method_{snake(name)}"
            declare.append(f"int {handler}(sd_bus_message *m, void *userdata, sd_bus_error *error);\n")
            yield (f'    SD_BUS_METHOD_WITH_ARGS("{name}", {argument_list(member, "in", "SD_BUS_ARGS")}, '
                   f'{argument_list(member, "out", "SD_BUS_RESULT")}, {handler}, SD_BUS_VTABLE_UNPRIVILEGED),\n')
        elif member.tag == "property":
            handler = f"{short}_get_{snake(name)}"
            declare.append(f"int {handler}(sd_bus *bus, const char *path, const char *interface, const char *property,\n"
                           f"    sd_bus_message *reply, void *userdata, sd_bus_error *error);\n")
            setter = f"{short}_set_{snake(name)}" if member.get("access") == "readwrite" else None
            if setter:
                declare.append(f"int {setter}(sd_bus *bus, const char *path, const char *interface, const char *property,\n"
                               f"    sd_bus_message *value, void *userdata, sd_bus_error *error);\n")
            emits = "true"
            for annotation in member.iter("annotation"):
                if annotation.get("name") == "org.freedesktop.DBus.Property.EmitsChangedSignal":
                    emits = annotation.get("value")
            if setter:
                yield (f'    SD_BUS_WRITABLE_PROPERTY("{name}", "{member.get("type")}", {handler}, {setter}, 0, '
                       f'{EMITS[emits]} | SD_BUS_VTABLE_UNPRIVILEGED),\n')
            else:
                yield f'    SD_BUS_PROPERTY("{name}", "{member.get("type")}", {handler}, 0, {EMITS[emits]}),\n'
        elif member.tag == "signal":
            yield f'    SD_BUS_SIGNAL_WITH_ARGS("{name}", {argument_list(member, "out", "SD_BUS_ARGS")}, 0),\n'


def write_vtables(options):
    declare = [HEAD, "#pragma once\n\n#include <systemd/sd-bus.h>\n\n",
               "struct dbus_property {\n    const char *name;\n    const char *type;\n"
               "    sd_bus_property_get_t get;\n};\n\n"]
    define = [HEAD, f'#include "{options.header.rsplit("/", 1)[1]}"\n']
    for _, short, interface in interfaces(options.xml):
        declare.append(f"extern const sd_bus_vtable {short}_vtable[];\n")
        declare.append(f"/* The properties alone, up to an entry without a name. */\n"
                       f"extern const struct dbus_property {short}_properties[];\n")
        define.append(f"\nconst sd_bus_vtable {short}_vtable[] = {{\n    SD_BUS_VTABLE_START(0),\n")
        define.extend(vtable_lines(short, interface, declare))
        define.append("    SD_BUS_VTABLE_END,\n};\n")
        define.append(f"\nconst struct dbus_property {short}_properties[] = {{\n")
        for member in interface.iter("property"):
            name = member.get("name")
            define.append(f'    {{"{name}", "{member.get("type")}", {short}_get_{snake(name)}}},\n')
        define.append("    {0},\n};\n")
    for path, text in ((options.header, declare), (options.source, define)):
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(text))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    names = commands.add_parser("names")
    names.add_argument("header")
    names.add_argument("xml", nargs="+")
    names.add_argument("--errors", required=True)
    names.set_defaults(run=write_names)
    vtables = commands.add_parser("vtables")
    vtables.add_argument("header")
    vtables.add_argument("source")
    vtables.add_argument("xml", nargs="+")
    vtables.set_defaults(run=write_vtables)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
