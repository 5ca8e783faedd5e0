# SPDX-License-Identifier: LGPL-2.1-or-later
"""What people, scripts and programs are told of the gates of a job, compared with each other."""


def explain(bus, job):
    return {gate: (is_open, until, text, details)
            for gate, is_open, until, text, details in bus.manager("Explain", "t", job)}


def why(home, job):
    """The table as {gate: [state, since, until, why]}."""
    shown = home.bitsq("why", str(job))
    assert shown.code == 0, shown
    lines = [line for line in shown.out.splitlines()[2:] if not line.startswith(" ")]
    return {line[:10].strip(): [line[12:18].strip(), line[20:35].strip(), line[37:52].strip(), line[54:]]
            for line in lines}, shown.out


def agree(home, bus, job, gate, words, remedy):
    """GATE is closed, everybody says so, and says why and what to do."""
    told, table = explain(bus, job), why(home, job)
    is_open, until, text, details = told[gate]
    assert not is_open and words in text, (told[gate], bus.job(job), home.logs())
    assert table[0][gate][0] == "closed" and table[0][gate][3] == text, table[1]
    rows = {row["gate"]: row for row in home.bitsq("why", "--json", str(job)).json["jobs"][0]["gates"]}
    assert rows[gate]["open"] is False and rows[gate]["why"] == text
    assert (rows[gate]["until"] is None) == (until == 0) and (table[0][gate][2] == "-") == (until == 0)
    assert (rows[gate]["since"] is None) == ("since" not in details)
    # D-Bus speaks of any job; the command line of this one.
    assert remedy.replace(str(job), "ID") in details["remedy"]
    assert remedy in rows[gate]["remedy"] and f"to lift it: {rows[gate]['remedy']}" in table[1]
    assert {name for name, row in rows.items() if not row["open"]} == \
        {name for name, row in told.items() if not row[0]} == set(bus.job(job)["Gates"])
    shown = bus.job(job)
    assert text in shown["Because"]
    listed = home.bitsq("list", "--json").json["jobs"]
    assert [row["because"] for row in listed if row["id"] == job] == [shown["Because"]]
    assert shown["Because"] in home.bitsq("show", str(job)).out
    return shown, until
