# SPDX-License-Identifier: LGPL-2.1-or-later
"""Routes and addresses, as the kernel tells of them."""
import pytest

from support.sense import Namespace, Watch

NOTHING = "none - unknown unknown"


def route(device):
    return f"route {device} unknown unknown"


@pytest.fixture
def net():
    made = Namespace("net")
    made.ip("link set lo up")
    yield made
    made.stop()


@pytest.fixture
def watch(home, net):
    started = Watch(home, "network", prefix=net.prefix)
    yield started
    started.stop()


@pytest.mark.parametrize("words", [["path"], ["path", ""], ["path", "server.example"], ["path", "192.0.2.1"],
                                   ["path", "2001:db8::1"]])
def test_a_machine_with_nothing_but_a_loopback_has_no_way_out(watch, words):
    assert watch.ask(*words) == NOTHING


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_the_loopback_is_local(watch, address):
    assert watch.ask("path", address) == "local lo unknown unknown"
    assert watch.ask("has", address) == "yes"


def test_the_loopback_is_local_even_where_it_is_down(net, watch):
    net.ip("link set lo down")
    watch.told(1)
    assert watch.ask("path", "127.0.0.1").startswith("local")
    assert watch.ask("path", "::1").startswith("local")


def test_the_addresses_of_a_machine_are_local_while_it_has_them(net, watch):
    assert watch.ask("has", "192.0.2.7") == watch.ask("has", "2001:db8::7") == "no"
    net.link("uplink", "192.0.2.7/24", "2001:db8::7/64")
    for address in ("192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"):
        watch.until("yes", "has", address)
        watch.until("local lo unknown unknown", "path", address)
    assert watch.ask("has", "192.0.2.8") == "no"
    watch.told(1)
    net.ip("addr del 192.0.2.7/24 dev uplink", "addr del 2001:db8::7/64 dev uplink",
           "addr add 192.0.2.8/24 dev uplink")
    watch.until("no", "has", "192.0.2.7")
    watch.until("no", "has", "2001:db8::7")
    watch.until("yes", "has", "192.0.2.8")
    watch.until(route("uplink"), "path", "192.0.2.7")


def test_a_default_route_is_the_way_out_while_its_link_is_up_and_has_a_carrier(net, watch):
    net.link("uplink", "192.0.2.7/24")
    net.ip("route add default via 192.0.2.1")
    for step, back in (("link set uplink-peer down", "link set uplink-peer up"),
                       ("link set uplink down", "link set uplink up")):
        watch.until(route("uplink"), "path")
        watch.until(route("uplink"), "path", "198.51.100.1")
        told = len(watch.events)
        net.ip(step)
        watch.until(NOTHING, "path")
        watch.until(NOTHING, "path", "198.51.100.1")
        watch.told(told + 1)
        net.ip(back)
        net.ip("route replace default via 192.0.2.1")
    watch.until(route("uplink"), "path")


def test_of_two_default_routes_the_one_with_the_lower_metric_counts_whose_link_has_a_carrier(net, watch):
    net.link("cable", "192.0.2.7/24")
    net.link("radio", "198.51.100.7/24")
    net.ip("route add default via 192.0.2.1 metric 100", "route add default via 198.51.100.1 metric 600")
    watch.until(route("cable"), "path")
    net.ip("link set cable-peer down")
    watch.until(route("radio"), "path")
    net.ip("link set cable-peer up", "route add default via 198.51.100.1 metric 50")
    watch.until(route("radio"), "path", "203.0.113.1")
    watch.until(route("radio"), "path")
    watch.until(route("cable"), "path", "192.0.2.9")


def test_the_lowest_metric_counts_across_families(net, watch):
    net.link("radio", "198.51.100.7/24")
    net.link("cable", "2001:db8::7/64")
    net.ip("route add default via 198.51.100.1 metric 600", "route add ::/0 via 2001:db8::1 dev cable metric 100")
    watch.until(route("cable"), "path")
    watch.until(route("radio"), "path", "192.0.2.1")


def test_without_a_default_route_any_other_way_out_will_do_for_a_host_that_is_not_known_yet(net, watch):
    net.link("uplink", "192.0.2.7/24")
    watch.until(route("uplink"), "path")
    watch.until(route("uplink"), "path", "server.example")
    assert watch.ask("path", "198.51.100.1") == NOTHING
    assert watch.ask("path", "192.0.2.1") == route("uplink")


def test_neighbours_by_their_link_local_addresses_are_no_way_out(net, watch):
    net.link("uplink", "fe80::7/64")
    watch.until("yes", "has", "fe80::7")
    watch.until(route("uplink"), "path", "fe80::1%uplink")
    assert watch.ask("path") == NOTHING


def test_a_default_route_of_ipv6_is_a_way_out(net, watch):
    net.link("uplink", "2001:db8::7/64")
    net.ip("route add ::/0 via 2001:db8::1 dev uplink")
    watch.until(route("uplink"), "path")
    assert watch.ask("path", "2001:db8:1::1") == route("uplink")
    assert watch.ask("path", "192.0.2.1") == NOTHING
    net.ip("route del ::/0")
    watch.until(NOTHING, "path", "2001:db8:1::1")


def test_one_route_over_two_links_is_a_way_out_by_either(net, watch):
    net.link("other", "10.0.0.7/24")
    net.link("cable", "192.0.2.7/24")
    net.link("radio", "198.51.100.7/24")
    net.ip("route add default nexthop via 192.0.2.1 nexthop via 198.51.100.1")
    watch.until(route("cable"), "path")
    net.ip("link set cable-peer down")
    watch.until(route("radio"), "path")


@pytest.mark.parametrize("kind", ["unreachable", "blackhole", "prohibit"])
@pytest.mark.parametrize("default, own, address", [("0.0.0.0/0", "192.0.2.7/24", "198.51.100.1"),
                                                   ("::/0", "2001:db8::7/64", "2001:db8:1::1")], ids=["ipv4", "ipv6"])
def test_a_route_that_refuses_is_none(net, watch, kind, default, own, address):
    net.link("uplink", own)
    net.ip(f"route add {address} dev uplink", f"route add {kind} {default} metric 1")
    watch.until(route("uplink"), "path", address)
    told = len(watch.events)
    net.ip(f"route del {address} dev uplink")
    watch.until(NOTHING, "path", address)
    watch.told(told + 1)


def test_only_a_refusing_default_route_is_no_way_out(net, watch):
    net.ip("route add blackhole default", "route add unreachable ::/0")
    watch.told(1)
    assert watch.ask("path") == NOTHING


def test_the_rules_of_the_kernel_choose_the_route(net, watch):
    net.link("uplink", "192.0.2.7/24")
    net.link("office", "198.51.100.7/24")
    net.ip("route add default via 192.0.2.1", "route add 203.0.113.0/24 via 198.51.100.1 table 77",
           "rule add to 203.0.113.0/24 table 77")
    watch.until(route("office"), "path", "203.0.113.5")
    watch.until(route("uplink"), "path", "203.0.114.5")


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_a_rule_that_comes_or_goes_is_told(net, watch, family):
    for count, verb in enumerate(("add", "del"), 1):  # on a machine where nothing else happens
        net.run("ip", family, "rule", verb, "priority", "5", "prohibit")
        watch.told(count)


def test_a_link_that_leaves_a_bridge_is_still_there(net, watch):
    net.link("uplink", "192.0.2.7/24")
    try:
        net.ip("link add bridge type bridge")
    except AssertionError as error:
        pytest.skip(f"the kernel makes no bridges: {error}")
    net.ip("link set bridge up", "link set uplink master bridge", "link set uplink nomaster")
    watch.until(route("uplink"), "path")
    net.ip("link set uplink-peer down")
    watch.until(NOTHING, "path")
    net.ip("link set uplink-peer up")
    watch.until(route("uplink"), "path", "192.0.2.1")


def test_a_link_has_its_new_name(net, watch):
    net.link("uplink", "192.0.2.7/24")
    watch.until(route("uplink"), "path", "192.0.2.1")
    net.ip("link set uplink down", "link set uplink name outside", "link set outside up")
    watch.until(route("outside"), "path", "192.0.2.1")
    net.ip("link del outside")
    watch.until(NOTHING, "path", "192.0.2.1")
    watch.until("no", "has", "192.0.2.7")


def test_many_changes_are_told_as_one(net, watch):
    with watch.paused():
        net.ip("link add uplink type veth peer name uplink-peer",
               *(f"addr add 192.0.2.{i}/24 dev uplink" for i in range(1, 51)))
    watch.told(1)
    assert watch.ask("has", "192.0.2.50") == "yes"
    net.ip("addr add 198.51.100.1/24 dev uplink")
    watch.told(2)
    assert watch.events == ["changed"] * 2


def test_more_messages_than_the_socket_takes_lose_nothing(net, watch):
    net.link("uplink")
    with watch.paused():
        net.ip(*(f"addr add 10.{i // 250}.{i % 250}.1/32 dev uplink" for i in range(2000)),
               "route add default dev uplink")
    watch.told(1)
    watch.until("yes", "has", "10.7.249.1")
    watch.until("yes", "has", "10.4.0.1")
    watch.until(route("uplink"), "path")
    with watch.paused():
        net.ip(*(f"addr del 10.{i // 250}.{i % 250}.1/32 dev uplink" for i in range(2000)),
               "addr add 192.0.2.7/24 dev uplink")
    watch.until("yes", "has", "192.0.2.7")
    watch.until("no", "has", "10.7.249.1")
    watch.until("no", "has", "10.4.0.1")


@pytest.mark.parametrize("address", ["", "%", "1.2.3", "::ffff:1.2.3.4.5", "a" * 3000,
                                     "fe80::1%averylongnameofalink"])
def test_what_is_no_address_is_a_host_that_is_not_known_yet(net, watch, address):
    net.link("uplink", "192.0.2.7/24")
    net.ip("route add default via 192.0.2.1")
    watch.until(route("uplink"), "path")
    assert watch.ask("path", address) == route("uplink")
    assert watch.ask("has", address) == "no"
